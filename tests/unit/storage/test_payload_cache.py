from storage.payload_cache import PayloadCache, Recalled

A, B = Recalled({"text": "a"}), Recalled({"text": "b"}, b"tokens")


def test_what_is_kept_is_found_by_its_own_bank_only():
    cache = PayloadCache(10)
    cache.keep("one", {"u": A}, cache.generation)
    assert cache.find("one", ["u", "v"]) == ({"u": A}, ["v"])
    assert cache.find("two", ["u"]) == ({}, ["u"])


def test_the_oldest_make_room():
    cache = PayloadCache(2)
    for number in range(4):
        cache.keep("one", {f"u{number}": A}, cache.generation)
    assert cache.find("one", ["u0", "u1", "u2", "u3"]) == ({"u2": A, "u3": A}, ["u0", "u1"])


def test_what_is_forgotten_is_read_again():
    cache = PayloadCache(10)
    cache.keep("one", {"u": A, "v": B}, cache.generation)
    cache.forget(["u", "never kept"])
    assert cache.find("one", ["u", "v"]) == ({"v": B}, ["u"])
    cache.forget()
    assert cache.find("one", ["u", "v"]) == ({}, ["u", "v"])


def test_a_payload_read_before_something_was_forgotten_is_not_kept():
    cache = PayloadCache(10)
    generation = cache.generation
    cache.forget(["w"])
    cache.keep("one", {"u": A}, generation)
    assert cache.find("one", ["u"]) == ({}, ["u"])
