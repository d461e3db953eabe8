"""What is said without being so: questions, quotations, hypotheticals, sarcasm, small talk, other languages.

Each gate is a set of wordings. A sentence that any of them knows yields no fact; its chunk remains and is found as
it is.
"""

import re
from enum import StrEnum

from memory.extraction.attribution import OPENING
from memory.extraction.verbs import is_participle


class Reason(StrEnum):
    """Why a sentence yields no fact."""

    QUESTION = "question"
    QUOTATION = "quotation"
    HYPOTHETICAL = "hypothetical"
    SARCASM = "sarcasm"
    SMALL_TALK = "small talk"
    LANGUAGE = "language"


def _any_of(*wordings: str) -> re.Pattern[str]:
    return re.compile("|".join(wordings), re.IGNORECASE)


_QUESTION = _any_of(
    r"\?\s*[\"'”’)]*$",
    r"^(?:so\s+|and\s+|but\s+)?(?:who|what|when|where|why|how|which|whose)(?:['’]s)?\s+(?:is|are|am|was|were|do|"
    r"does|did|can|could|"
    r"should|would|will|have|has|many|much|long|old|come|about|if)\b",
    r"^(?:who|what|where|when|how|why)['’]s\b",
    r"^(?:do|does|did|can|could|should|would|will|have|has|is|are|am|was|were|may|shall|isn['’]t|aren['’]t|don['’]t|"
    r"doesn['’]t|didn['’]t|won['’]t|can['’]t)\s+(?:i|you|we|he|she|they|it|there|my|your|our|the|this|that)\b",
    r"\b(?:i\s+(?:was\s+)?wonder(?:ing)?|(?:not|n['’]t)\s+(?:sure|know|remember|recall)|any\s+idea|tell\s+me|"
    r"curious|forgot|forget)\s+"
    r"(?:if|whether|who|what|when|where|why|how|which)\b",
    r",\s*(?:right|huh|no|eh|(?:do|does|did|is|are|am|was|were|have|has|can|could|will|would)n['’]t\s+\w+)\s*[.!?]*$",
)
_QUOTED = re.compile(r"“([^”]*)”?|\"([^\"]*)\"|«([^»]*)»|(?<!\w)['‘]([^'’]*(?:['’]\w+[^'’]*)*)['’](?!\w)")
_SAYS = re.compile(
    r"(?:\b(?:s(?:ays|aid)|goes|went|writes|wrote|reads?|replied|texted|claims?|claimed|begins?|starts?|opens?|"
    r"asked|told|"
    r"translate|rewrite|correct|fix|summari[sz]e|grammar|prompt|lyrics?|line|sentence|quote|title|template|"
    r"example|with|mean)\b)",
    re.IGNORECASE,
)
_QUOTATION = _any_of(
    r"^\s*>",
    r"^[^:]{0,60}\b(?:goes|went|says|said|sings|sang|reads?|replied|wrote|writes|texted)(?:\s+\w+){0,3}\s*:\s*\S",
    r"\b(?:was|were|is|be)\s+(?:all\s+)?like,?\s+[\"“']",
)
_OWN_WORDS = re.compile(r"\b(?:i|i['’]\w+|my|me|we|our)\b|[.!?,]$", re.IGNORECASE)

_HYPOTHETICAL = _any_of(
    r"\b(?:if|unless|whether|perhaps|maybe|possibly|suppose|supposing|imagine|imagining|pretend(?:ing)?|assume|"
    r"assuming|hypothetically|"
    r"in\s+theory|ideally|hopefully|probably|likely|someday|one\s+day\s+i['’]ll|provided\s+that|in\s+case|would|"
    r"wouldn['’]t|could|couldn['’]t|"
    r"might|mightn['’]t|should|shouldn['’]t|ought\s+to|wish(?:es|ed|ing)?|dream(?:s|t|ed|ing)?|fantasi[sz]\w+|"
    r"daydream\w*)\b",
    r"(?-i:\b(?:I|we|We|he|she|they)\s+may\b)",
    r"\b(?:may|might)\s+(?:be|have|not|well|also|even|just|soon|go|move|take|apply|get|buy)\b",
    r"\b(?:worst\s+case|best\s+case|in\s+another\s+life|a\s+chance|picture\s+(?:myself|me|us)|"
    r"in\s+a\s+perfect\s+world|not\s+sure)\b",
    r"^say\s+(?:i|we)\b|\bplan\s+b\b",
    r"\b(?:half[\s-]+)?expected\s+to\b",
    r"\b(?:almost|nearly|about\s+to|tempted\s+to|hop(?:e|es|ing)\s+to|trying\s+to\s+decide|can['’]t\s+decide|"
    r"toying\s+with)\b",
    r"\b(?:think(?:s|ing)?\s+(?:about|of)|consider(?:s|ed|ing)?|contemplat\w+|debating|weighing)\b",
    r"\b(?:was|were)\s+(?:going|about|supposed|planning|hoping|meant)\s+to\b",
    r"^\s*had\s+(?:i|we)\b",
    r"\b(?:let['’]?s\s+say|say\s+(?:i|we)\b|what\s+if|as\s+if|as\s+though|even\s+if|only\s+if|if\s+only)\b",
    r"^(?:once|when|as\s+soon\s+as|until)\s+(?:i|we)\s+(?!was|were|got|had|did|went|left|met|moved)\w+.*['’]ll\b",
    r"\b(?:a|the)\s+character\b|\bin\s+(?:the|this|my)\s+(?:story|game|novel|role-?play|scenario|dream)\b",
)
_HAD_DONE = re.compile(
    r"\b(?:i|we|he|she|they)['’]d\s+(?:\w+ly\s+|already\s+|just\s+|never\s+|always\s+)*(?P<verb>\w+)", re.IGNORECASE
)

_SARCASM = _any_of(
    r"(?:^|\s)/s\b",
    r"[🙄🙃😒😏🤡]",
    r"\b(?:yeah,?\s+right|yeah,?\s+no|as\s+if|lucky\s+(?:me|us)|said\s+no\s+one|just\s+what\s+(?:i|"
    r"we)\s+(?:needed|wanted)|so\s+needed|"
    r"made\s+of\s+money|nothing\s+better\s+to\s+do|how\s+(?:thrilling|exciting|lovely|wonderful|delightful|"
    r"original)|best\s+\w+\s+ever|"
    r"can['’]t\s+you\s+tell|(?:a|like\s+a)\s+(?:billion|gazillion|zillion|bajillion)|born\s+yesterday|"
    r"my\s+favou?rite\s+(?:thing|part|hobby)"
    r"|what\s+a\s+(?:surprise|shock|treat)|shocker|big\s+surprise|because\s+that\s+(?:always|went|worked))\b",
    r"\b(?:lol|lmao|rofl|haha\w*|hehe\w*)\b|[😂🤣]",
    r"^(?:oh|ah|wow|well|yeah|yes|yay|sure|right|great|nice|perfect|fantastic|wonderful|brilliant|lovely|awesome|"
    r"terrific)[,!.]?\s+"
    r"(?:(?:just\s+)?(?:great|wonderful|fantastic|perfect|brilliant|lovely|joy|sure|yes|yeah|nice|awesome|terrific)\b)",
    r"^oh,?\s+(?:sure|yes|yeah|right|please|joy|goody|great)\b",
    r"^(?:oh\s+|well\s+)?(?:sure|right|yeah|yep|great|nice|fantastic|wonderful|perfect|brilliant|lovely|fabulous|"
    r"splendid|terrific|awesome)"
    r"[,.!]+\s+(?:and|because|another|one\s+more|just|now|i['’]m\s+(?:a|an|the|totally)\b|i\s+(?:just|simply|"
    r"totally|so|really|now|also|sleep|love))",
    r"^because\b",
    r"\bi(?:['’]m|['’]ve)?\s+(?:\w+\s+){0,2}?(?:obviously|clearly|totally|apparently|basically)\b|"
    r",\s*(?:obviously|clearly|apparently|naturally)[.!\s]*$",
    r"^(?:yes|yeah|well)?[,\s]*i['’]m\s+(?:secretly|literally|practically)\b",
    r"\bi\s+so\s+(?:love|enjoy|adore|need|want)",
    r"\bis\s+(?:apparently|obviously|clearly)\b",
    r"^(?:obviously|clearly|apparently|naturally)\b",
    r"\b(?:just|simply|really|so|absolutely)\s+(?:love|adore|enjoy|live\s+for|cherish)\s+(?:it\s+when|being|"
    r"waiting|getting|having\s+to|paying|"
    r"stepping|when|sitting|standing|listening\s+to\s+(?:people|you)|cleaning|filing|doing\s+(?:my\s+)?taxes|"
    r"losing|missing)\b",
    r"\b(?:love|adore|enjoy)s?\s+(?:it\s+when|being\s+(?:stuck|late|yelled|ignored|woken|told|broke|sick|"
    r"interrupted|charged))\b",
    r"\b(?:live|dying|live\s+only)\s+(?:for|to)\s+(?:monday|do\s+my\s+taxes|meetings|paperwork)",
    r"\bthanks\s+a\s+lot\b|\bthanks\s+for\s+nothing\b",
    r"\b(?:well\s+done|good\s+job|nice\s+one|nice\s+work|bravo|congrats|congratulations)\s*,?\s+(?:to\s+)?(?:me|us|myself)\b",
    r"\ba?\s*stroke\s+of\s+genius\b",
    r"\bsuch\s+a\s+(?:genius|delight|joy|pleasure|treat)\b",
)
_MEANT_OTHERWISE = re.compile(
    r"\b(?:best|worst|greatest|proudest)[.!]\s*\w+[.!]\s*ever\b|"
    r"(?:^|[.!]\s+)(?:not|kidding|just\s+kidding|jk|psych|as\s+if)[.!]*\s*$|(?:^|\s)/s\s*$",
    re.IGNORECASE,
)

_STATES = (
    "fine|good|ok|okay|alright|great|well|sorry|glad|happy|thrilled|excited|sure|ready|back|here|kidding|joking|"
    "tired|afraid|curious|"
    "proud|delighted|pleased|grateful|thankful|honou?red|busy|jealous|envious|impressed|confused|lost|bored|"
    "hungry|starving|"
    "exhausted|done|good\\s+to\\s+go|in|down|game|on\\s+it|with\\s+you|all\\s+ears|touched|stoked|pumped|"
    "in\\s+awe|late|amazed|shocked|"
    "so\\s+there|listening|serious|right|wrong|welcome|looking\\s+forward|counting\\s+on|rooting|speechless|"
    "relieved|worried|mad|sad|upset"
)
_CHATTING = (
    "hope|guess|see|mean|appreciate|agree|understand|bet|wonder|suppose|apologi[sz]e|doubt|figure|gotta|promise|"
    "swear|beg|wanna|suspect|reckon|hear\\s+you|feel\\s+you|get\\s+it|got\\s+it|got\\s+you|missed\\s+you|"
    "miss\\s+you|love\\s+(?:it|that|this|you)|"
    "like\\s+(?:it|that|this)|know(?!\\s+(?:how|a\\b|the\\b|some|two|three|several|[A-Z]))|had\\s+no\\s+idea|"
    "have\\s+no\\s+(?:idea|clue)|"
    "have\\s+to\\s+(?:go|run|say|admit|ask)|need\\s+to\\s+(?:go|run)|should\\s+go|must\\s+(?:go|say|admit)|"
    "will\\s+(?:try|check|see|think|be\\s+right|look|keep|let|do\\s+(?:that|it|so))|think\\s+so|think\\s+(?:it|"
    "that)['’]?s|"
    "was\\s+(?:just\\s+)?(?:wondering|kidding|joking|thinking|saying)|completely|totally\\s+(?:agree|get)|"
    "couldn['’]t\\s+agree|"
    "can(?:no|['’])t\\s+(?:believe|wait|tell|imagine|thank|say|complain|help\\s+(?:but|it))|don['’]t\\s+(?:know|"
    "mind|think\\s+so|understand|get\\s+it|"
    "care|believe|remember|blame)|dunno"
)
_LITTLE = (
    r"(?:so|very|really|just|totally|all|quite|pretty|still|also|doing|too|always|truly|super|not|mostly|"
    r"genuinely|incredibly|extremely|a\s+bit|absolutely|only)"
)
_SMALL_TALK = _any_of(
    rf"^(?:i['’]?m|i\s+am|we['’]re|we\s+are)\s+(?:{_LITTLE}\s+)*(?:{_STATES})"
    r"(?=[\s,.!]*$|,|\s+(?:to|for\s+(?:you|him|her|them|now)|that|about|with\s+you|you|i|now|today|too|then|"
    r"thanks|and|but|whenever|when)\b)",
    rf"^i(?:['’](?:ll|d|ve)\s+|\s+)(?:{_LITTLE}\s+|do\s+|can\s+|completely\s+|fully\s+|"
    rf"definitely\s+)*(?:{_CHATTING})\b",
    r"^i['’]ll\s+(?:let|try|check|see|think|be\s+(?:right|there|back|fine|ok)|look|keep|do\s+(?:that|it|so)|"
    r"take\s+(?:it|a\s+look)|get\s+(?:back|on)|"
    r"talk|catch|pass|leave\s+(?:it|you))\b",
    r"^i\s+(?:totally|completely|fully|absolutely|couldn['’]t)\s+agree\b",
    r"^(?:let\s+(?:me|us)|let['’]?s|please|thanks|thank|hi|hello|hey|good\s+(?:morning|evening|night|afternoon|"
    r"luck|job|point|idea|for\s+you)|bye|"
    r"congrat\w*|welcome|you['’]re|you\s+are|no\s+(?:worries|problem|way|need)|take\s+care|sounds|that|it|this|"
    r"there|these|those|here|see\s+you|"
    r"talk|absolutely|exactly|indeed|same|me\s+too|of\s+course|happy|nice|cool|great|amazing|wow|yes|yeah|no|nope|"
    r"ok|okay|sure|oh)\b"
    r"(?!.*\b(?:i|i['’]\w+|my|we)\b)",
    r"^(?:it|that|this|there|here)(?:['’]s|\s+(?:is|was|are|were|sounds?|makes?|looks?|seems?|must|will|['’]ll))\b",
    r"^(?:i|we)\s+(?:\w+ly\s+|just\s+)?(?:feel|felt)\b|\b(?:i|we)\s+(?:really\s+|just\s+|still\s+|"
    r"all\s+)?(?:need\s+to|gotta|got\s+to)\b",
    r"\b(?:i|we)\s+can\s+(?!(?:\w+ly\s+)?(?:swim|speak|play|drive|cook|read|ride|sing|dance|ski|juggle|eat|drink|"
    r"type|code|fly)\b)",
    rf"\bi['’]?(?:m|\s+am|\s+was)\s+(?:{_LITTLE}\s+)*(?:glad|happy|thrilled|excited|sorry|grateful|thankful|proud|"
    rf"delighted|pleased|honou?red|curious|"
    r"touched|blessed|amazed|impressed|relieved|sure|stoked|pumped|confident|certain)\b",
    r"^i['’]?(?:m|\s+am)\s+(?:off\s+to|all\s+(?:for|about)|up\s+for|swamped|determined|lucky|blessed|fortunate|"
    r"inspired|motivated|eager|hooked|so\s+\w+\b)",
    r"^my\s+(?:pleasure|bad|apologies|condolences|point|guess|god|goodness)\b",
    r"^(?:i|we)\s+(?:\w+\s+)?enjoyed\s+(?:our|the|this)\s+(?:chat|talk|conversation|call)\b",
    r"^we['’]ll\s+see\b|^i\s+(?:don['’]t\s+)?have\s+to\s+\w+\s+now\b",
    r"\bi(?:['’]d\s+like|\s+want|\s+need)\s+(?:you\s+to|help)\b|\b(?:having|have)\s+(?:trouble|problems?|issues?)\s+with\s+my\s+code\b",
    r"^i\s+am$|^i\s+(?:do|did|have|will|can|was|know|see)$",
)

_ENGLISH = frozenset(
    """i i'm i've i'll i'd a an the my our we he she they it is are was were am be been have has had do does did don't
    not and or but of to in on at for with from by this that his her their me you your will as no never""".split()
)
_FOREIGN = frozenset(
    """el los las una uno en y con mi es soy vivo tengo desde hace que por para pero muy der die das und ich bin ist
    ein eine seit mit bei habe wohne nicht le les des je suis et dans avec mon ma j'habite j'ai chez il lo gli di
    che sono ho mi miei nel del della e eu moro em um uma com meu minha são não ik ben het een van en werk woon als
    jag är och bor sedan jeg og er fra elsker på mam na imię mieszkam w jestem minulla minä olen ja kaksi""".split()
)


def reason_against(sentence: str) -> Reason | None:
    """Why a sentence is no statement of fact; None where it may be one."""
    text = sentence.strip()
    if not is_english(text):
        return Reason.LANGUAGE
    if _is_quotation(text):
        return Reason.QUOTATION
    if _QUESTION.search(text):
        return Reason.QUESTION
    if _SARCASM.search(text):
        return Reason.SARCASM
    bare = re.sub(r"[.!…\s]+$", "", OPENING.sub("", text))
    if _SMALL_TALK.search(bare) or len(bare.split()) < 2:
        return Reason.SMALL_TALK
    if _HYPOTHETICAL.search(text) or _is_wish(text):
        return Reason.HYPOTHETICAL
    return None


def is_ironic(text: str) -> bool:
    """Whether the end of a turn takes back all of it: "I adore being late. Not."."""
    return bool(_MEANT_OTHERWISE.search(text.strip()))


def is_english(text: str) -> bool:
    """Whether a sentence is written in English, by its script and its small words."""
    letters = [character for character in text if character.isalpha()]
    if sum(character > "ɏ" for character in letters) * 4 > len(letters):
        return False
    words = [word.replace("’", "'") for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())]
    english = sum(word in _ENGLISH for word in words)
    return sum(word in _FOREIGN and word not in _ENGLISH for word in words) <= english // 2


def _is_quotation(text: str) -> bool:
    if _QUOTATION.search(text):
        return True
    quotes = [next((part for part in groups if part), "") for groups in _QUOTED.findall(text)]
    spoken = [quote for quote in quotes if len(quote.split()) > 1]
    if not spoken:
        return False
    return any(_OWN_WORDS.search(quote) for quote in spoken) or bool(_SAYS.search(text))


def _is_wish(text: str) -> bool:
    return any(not is_participle(match["verb"]) for match in _HAD_DONE.finditer(text))
