"""English verbs, as far as naming the speaker of a sentence needs them."""

import re

from memory.tense import IRREGULAR_PAST, SAME_IN_PAST, is_past_form

MODALS = frozenset(
    """will would can could shall should may might must cannot can't can’t won't won’t wouldn't wouldn’t couldn't
    couldn’t shouldn't shouldn’t mustn't mustn’t shan't""".split()
)
ADVERBS = frozenset(
    """also always almost already actually absolutely again barely certainly constantly currently definitely deeply
    even eventually ever finally first formerly frequently generally genuinely gladly hardly honestly initially
    instead just last lately later literally mainly mostly myself never newly next normally not now occasionally
    often once only originally personally possibly practically presently previously proudly quickly quite rarely
    really recently regularly sadly secretly seldom simply slowly sometimes soon still strongly suddenly surely then
    there thoroughly so today totally truly typically usually very weekly yesterday yet both all kind sort
    mainly too""".split()
)
BASE_VERBS = frozenset(
    """accept act add admire adopt adore agree aim allow answer appear apply argue arrange arrive ask attend avoid bake
    be bear become begin believe belong bike blog book borrow break breed brew bring build bury buy call camp care
    carry catch celebrate change chair check choose clean climb close coach code coach collect come commute compete
    complete compose consider consult contribute cook cope count cover crave create crochet cry cycle dance date
    deal decide deliver deserve design despise detest develop direct dislike dive do donate doubt draw dread dream
    dress drink drive earn eat edit employ end enjoy enter exercise expect explain face fall farm fear feed feel
    fight film find finish fish fix fly follow forget found garden get give go grow guess handle hang happen hate
    have hear help hike hire hold hope host hunt hurt import improve intend invest invite iron jog join joke juggle
    keep kick knit know lack lead learn leave lend let lie lift like list listen live loathe look lose love maintain
    make manage march marry mean meditate meet mentor mind miss move need occupy oversee owe own land depart air
    appear raise offer open order organise
    organize own pack paint park pay perform photograph pick plan plant play practice practise pray prefer prepare
    present pretend produce promise provide publish purchase push put quit race raise reach read realise realize
    receive recommend recover regret rehearse rely remain remember rent repair represent research reside resist
    respect rest restore return ride row run sail save say see seem sell send serve settle sew share shop show sign
    sing sit skate skateboard ski skip sleep smell smoke snore solve speak specialise specialize spend stand start
    stay stop store struggle study suffer suggest supervise support suppose surf swim take talk taste teach tell
    tend test thank think train translate travel treat trust try tutor understand upgrade use value visit volunteer
    wait wake walk want wash watch wear weigh welcome win wish wonder work worry write""".split()
)
_IRREGULAR_S = {"be": "is", "am": "is", "are": "is", "have": "has", "do": "does", "go": "goes", "don't": "doesn't",
                "don’t": "doesn’t", "haven't": "hasn't", "haven’t": "hasn’t", "ain't": "isn't", "were": "was",
                "aren't": "isn't", "aren’t": "isn’t", "weren't": "wasn't", "weren’t": "wasn’t",
                "dont": "doesn't", "havent": "hasn't"}  # fmt: skip
_TAKES_OBJECT = frozenset(
    """a an the my our your his her their this that these those it them him me us to in at on for with as from by about
    of two three four five six every each some no""".split()
)


_MOSTLY_PAST = frozenset("quit hurt hit cut shut cost split bet".split())
_PAST_CUES = re.compile(
    r"\b(?:recently|just|finally|already|once|yesterday|ago|last|earlier|previously|was|were|did|had|"
    r"when\s+i\s+was|in\s+(?:19|20)\d\d|this\s+morning)\b",
    re.IGNORECASE,
)


def third_person(verb: str, sentence: str = "") -> str:
    """The form after a name: "live" → "lives"; past forms and modals stay as they are.

    A form that is both ("read", "put") goes by what else the sentence says of the past.
    """
    low = verb.lower()
    if low in _MOSTLY_PAST or (low in {"read", "put", "set", "let", "spread"} and _PAST_CUES.search(sentence)):
        return verb
    if low in _IRREGULAR_S:
        return _IRREGULAR_S[low]
    if (
        low in MODALS
        or (is_past_form(low) and low not in SAME_IN_PAST)
        or low in {"did", "didn't", "didn’t", "ought", "used"}
    ):
        return verb
    if re.search(r"(?:s|x|z|ch|sh|o)$", low):
        return verb + "es"
    if re.search(r"[^aeiou]y$", low):
        return verb[:-1] + "ies"
    return verb + "s"


def is_participle(word: str) -> bool:
    """Whether a word can follow "had"."""
    low = word.lower()
    return low in IRREGULAR_PAST or low == "been" or is_past_form(low) or low in {"come", "become", "run"}


def is_adverb(word: str) -> bool:
    """Whether a word may stand between a subject and its verb."""
    low = word.lower()
    return low in ADVERBS or (
        low.endswith("ly") and low not in {"fly", "rely", "apply", "reply", "supply", "multiply", "comply"}
    )


def is_second_verb(word: str, following: str) -> bool:
    """Whether a word after "and" goes on with the same subject: a base verb that takes what follows it."""
    return word.lower() in BASE_VERBS and following.lower() in _TAKES_OBJECT


def gerund(verb: str) -> str:
    """The form in -ing: "play" → "playing", "smoke" → "smoking", "swim" → "swimming"."""
    low = verb.lower()
    if low.endswith("e") and not low.endswith("ee"):
        return low[:-1] + "ing"
    if re.fullmatch(r"[^aeiou]*[aeiou][bdgmnpt]", low):
        return low + low[-1] + "ing"
    return low + "ing"


def base_of(verb: str) -> str:
    """The base of a third person: "plays" → "play", "teaches" → "teach", "studies" → "study"."""
    low = verb.lower()
    if low.endswith("ies") and len(low) > 4:
        return low[:-3] + "y"
    if low[:-1] not in BASE_VERBS and re.search(r"(?:s|x|z|ch|sh|o)es$", low):
        return low[:-2]
    return low.removesuffix("s")


_AUXILIARIES = frozenset(
    """is was are were has have had does doesn't doesn’t did didn't didn’t will won't won’t can can't can’t isn't isn’t
    wasn't wasn’t hasn't hasn’t haven't haven’t hadn't hadn’t cannot""".split()
)  # fmt: skip


def is_verb(word: str) -> bool:
    """Whether a word may be the finite verb of a clause."""
    low = word.strip(",.").lower()
    return (
        low in _AUXILIARIES
        or is_past_form(low)
        or (low.endswith("s") and base_of(low) in BASE_VERBS)
        or low in BASE_VERBS
    )
