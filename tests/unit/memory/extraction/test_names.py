from memory.extraction.names import mentions_in


def named(statement, **more):
    return {mention.name: mention.type for mention in mentions_in(statement, **more)}


def test_names_and_what_the_words_around_them_say():
    assert named("Ana works at Nordic Foods in Oslo with Dr. Weiss", people=["Ana"]) == {
        "Ana": "person",
        "Nordic Foods": "organisation",
        "Oslo": "place",
        "Dr. Weiss": "person",
    }


def test_months_days_and_first_words_are_no_names():
    assert named("In March the shop closed on Monday") == {}
    assert named("Breakfast with Lena took long") == {"Lena": "person"}


def test_known_names_are_found_in_any_casing():
    assert named("ana deploys with kubernetes", people=["Ana"], known=["Kubernetes"]) == {
        "ana": "person",
        "kubernetes": "concept",
    }
