"""The wordings of claims: a pattern each, and how its match is read.

Patterns are tense-aware: "lived" and "visited" fill no slot, "used to live" ends one.
"""

import re

from memory.extraction import slot_readers as read
from memory.extraction.slot_readers import ClaimReader

_SUBJECT = r"^(?P<s>(?:[^\W_][\w’'.&-]*\s+){0,4}?[^\W_][\w’'.&-]*)\s+"
_SOFT = (
    r"(?:(?:now|currently|still|also|actually|really|just|finally|recently|officially|always|usually|often|"
    r"already|"
    r"mostly|absolutely|genuinely|truly|sometimes|regularly|both|all|only|since|then)\s+)*"
)
_PLACE = r"(?P<v>(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.-]*(?:(?:,\s+|\s+(?:of\s+|de\s+|la\s+)?)(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.-]*)*)"
_NAME = r"(?P<v>(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.&-]*(?:\s+(?:(?:of|the|and|de|van|von|for)\s+)?(?-i:[A-ZÀ-ÖØ-Þ\d])[\w’'.&-]*)*)"
_REST = r"(?P<v>[^,;]+?)"
_NOT = r"(?:is\s+not|is\s+no\s+longer|isn['’]t|no\s+longer|does\s+not|doesn['’]t|do\s+not|don['’]t)"
_END = (
    r"(?=$|[,;]|\s+(?:now|these\s+days|nowadays|anymore|any\s+more|for|with|because|since|as|when|again|and|"
    r"but|so|instead|at|in|on|near|by|"
    r"to|every|from|until|after|before|full|part|who|which|where|currently|right|today|alone|together)\b)"
)
_ATTRIBUTES = (
    r"(?:full\s+|last\s+|first\s+)?name|nickname|manager|boss|supervisor|landlord|landlady|dentist|doctor|gp|"
    r"therapist|lawyer|accountant|"
    r"coach|trainer|tutor|advisor|adviser|assistant|address|e-?mail(?:\s+address)?|phone(?:\s+number)?|number|"
    r"budget|car|birthday|salary|"
    r"hometown|blood\s+type|major|shoe\s+size|time\s*zone|username|website|favou?rite\s+[\w-]+(?:\s+[\w-]+)?|"
    r"ring\s+size|"
    r"native\s+language|mother\s+tongue|star\s+sign|pronouns|height|weight|rent|postcode|zip\s+code|go-to\s+\w+"
)
_GONE = r"(?:has\s+)?(?:just\s+|finally\s+|recently\s+)?"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


CLAIM_READERS: tuple[tuple[re.Pattern[str], ClaimReader], ...] = (
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}settled\s+(?:down\s+)?in\s+{_PLACE}"),
     read.slot("location", happened=True)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:handed|gave|put)(?:\s+in)?\s+(?:\S+['’]s?|their|his|her)\s+"
              rf"(?:notice|resignation)(?:\s+in)?(?:\s+(?:at|to|with)\s+(?:the\s+)?{_REST}{_END})?"),
     read.slot("employer", holds=False, happened=True)),
    (_pattern(rf"^{_NAME}\s+(?:has\s+)?{_SOFT}(?:(?:fired|sacked|dismissed|laid\s+off)\s+(?P<s>[^,;]+?)|"
              rf"let\s+(?P<go>[^,;]+?)\s+go|laid\s+(?P<off>[^,;]+?)\s+off)(?=$|[,;]|\s+(?:in|last|after|because)\b)"),
     read.dismissed),
    (_pattern(rf"^(?P<one>[^,]+?)\s+and\s+(?P<s>[^,]+?)\s+(?:has\s+|have\s+)?{_SOFT}(?:called|broke|broken)\s+off\s+"
              r"(?:the|their|\S+['’]s)\s+(?:engagement|wedding)|"
              r"^(?P<alone>[^,]+?)\s+(?:has\s+)?(?:called|broke|broken)\s+off\s+(?:the|their|\S+['’]s)\s+(?:engagement|wedding)"),
     read.called_off),
    (_pattern(rf"{_SUBJECT}(?:{_SOFT}eats|(?:has\s+)?{_SOFT}(?:started|went\s+back\s+to|gone\s+back\s+to|is\s+back\s+to)\s+"
              r"eating)\s+meat\b(?=.*\b(?:again|now|these\s+days|back|started)\b|$)"),
     read.fixed("diet", None, holds=False)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:qualified|requalified|retrained)\s+as\s+(?P<v>(?:an?|the)\s+[^,;]+)"),
     read.qualified),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:lives|resides|is\s+(?:now\s+|currently\s+)?(?:living|based|settled|"
        rf"residing))\s+{_SOFT}(?:back\s+)?in\s+{_PLACE}"),
     read.slot("location")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:moved|relocated|emigrated|moved\s+back|"
        rf"moved\s+house)\s+(?:back\s+|over\s+|out\s+|down\s+|up\s+)?to\s+{_PLACE}"),
     read.slot("location", happened=True)),
    (_pattern(rf"{_SUBJECT}{_NOT}\s+(?:live|living|based|lives)\s+in\s+{_PLACE}"), read.slot("location", holds=False)),
    (_pattern(rf"{_SUBJECT}used\s+to\s+live\s+in\s+{_PLACE}"), read.slot("location", holds=False)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:moved\s+(?:away\s+from|out\s+of)|left)\s+{_PLACE}(?=$|\s+for\s+good)"),
     read.slot("location", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:works|is\s+(?:now\s+)?(?:working|employed)|is\s+employed|"
        rf"teaches)\s+{_SOFT}(?:as\s+[^,]+?\s+)?(?:at|for)\s+"
              rf"(?:{_NAME}|(?:an?|the)\s+(?P<w>[a-z][\w-]+(?:\s+[a-z][\w-]+)??)(?={_END}))"),
     read.employer_of),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:started\s+(?:working\s+|work\s+|a\s+(?:new\s+)?job\s+)?(?:at|for)|"
        rf"got\s+(?:a\s+(?:new\s+)?|the\s+)?(?:job|position|hired)\s+"
              rf"(?:at|with|by)|landed\s+a\s+job\s+at|got\s+hired\s+(?:at|by)|joined)\s+(?:{_NAME}|"
              rf"the\s+(?P<w>[a-z][\w-]+)(?={_END}))"),
     read.employer_of),
    (_pattern(rf"{_SUBJECT}{_NOT}\s+(?:work|working|employed|works|teach|teaching)\s+(?:at|"
        rf"for)\s+(?:the\s+)?{_REST}{_END}"),
     read.slot("employer", holds=False)),
    (_pattern(rf"{_SUBJECT}used\s+to\s+work\s+(?:at|for)\s+(?:the\s+)?{_REST}{_END}"),
     read.slot("employer", holds=False)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:quit|left|lost|resigned\s+from)\s+(?:\S+['’]s?|their|his|her|the|my|"
        rf"\S+\s+\S+['’]s)\s+(?:\w+\s+)?job"
              rf"(?:\s+(?:at|with)\s+(?:the\s+)?{_REST}{_END})?"), read.slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:was|has\s+been|got)\s+(?:just\s+)?(?:fired|laid\s+off|let\s+go|made\s+redundant|"
        rf"sacked)(?:\s+(?:from|by)\s+{_NAME})?"),
     read.slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:left|quit|resigned\s+from)\s+{_NAME}(?=\s*$|\s+(?:in|last|after|because|for|and)\b)"),
     read.slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}is\s+unemployed\b"), read.fixed("employer", None, holds=False)),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:is|works|is\s+working|became|has\s+become|got\s+promoted\s+to|"
        rf"was\s+promoted\s+to|has\s+been\s+promoted\s+to|"
              rf"got\s+(?:a|the)\s+job\s+as|started\s+(?:working\s+)?as)\s+{_SOFT}(?:as\s+)?(?P<v>(?:(?:an?|"
              rf"the)\s+)?[^,;]+)"), read.occupation),
    (_pattern(rf"{_SUBJECT}(?:used\s+to\s+(?:be|work\s+as)|is\s+no\s+longer|{_NOT}\s+work\s+as)\s+(?P<v>an?\s+[^,;]+)"),
     read.no_occupation),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:is|has\s+become|became|went|has\s+gone|turned)\s+{_SOFT}(?:an?\s+)?(?:strict\s+)?"
              r"(?P<v>vegan|vegetarian|pescatarian|pescetarian|keto|gluten-free|omnivore|flexitarian|kosher|"
              r"halal)\b(?!\s+\w*(?:chef|cook|restaurant|food))"),
     read.slot("diet")),
    (_pattern(rf"{_SUBJECT}(?:is\s+not|isn['’]t|is\s+no\s+longer|used\s+to\s+be|stopped\s+being)\s+(?:an?\s+)?"
              r"(?P<v>vegan|vegetarian|pescatarian|keto|gluten-free|omnivore|"
 r"flexitarian)\b"), read.slot("diet", holds=False)),
    (_pattern(rf"{_SUBJECT}(?:is|has\s+been|got|just\s+got|"
        rf"is\s+now)\s+{_SOFT}(?:happily\s+)?married(?:\s+to\s+{_NAME})?"), read.married("married")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:married|wed)\s+{_NAME}"), read.married("married")),
    (_pattern(rf"{_SUBJECT}(?:is|got|has\s+gotten|has\s+got|"
        rf"just\s+got)\s+{_SOFT}engaged(?:\s+to\s+{_NAME})?"), read.married("engaged")),
    (_pattern(rf"{_SUBJECT}(?:is|has\s+(?:been|started)|started)\s+{_SOFT}dating\s+{_NAME}"), read.married("dating")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:broke|broken|split)\s+up\s+with\s+{_NAME}"), read.alone("single")),
    (_pattern(rf"{_SUBJECT}(?:(?:is|got|has\s+gotten|has)\s+{_SOFT}divorced|"
        rf"divorced)(?:\s+(?:from\s+)?{_NAME})?"), read.alone("divorced")),
    (_pattern(rf"{_SUBJECT}is\s+{_SOFT}(?:single|not\s+married|widowed|"
        rf"not\s+seeing\s+anyone)\b(?!\s+\w+)"), read.alone("single")),
    (_pattern(rf"{_SUBJECT}(?:is|turned|has\s+turned|just\s+turned|is\s+now|"
        rf"turns)\s+{_SOFT}(?P<v>\d{{1,3}})(?=\s*$|\s+(?:years?\s+old|now|today|years?)|[,;])"),
     read.slot("age")),
    (_pattern(rf"^(?P<s>.+?['’]s|the)\s+(?:new\s+|current\s+)?(?P<a>{_ATTRIBUTES})\s+(?:is|has\s+changed\s+to|"
        rf"changed\s+to)\s+{_SOFT}(?:called\s+)?"
              r"(?P<v>.+?)(?=$|;|,\s|\s+(?:because|but|and\s+(?:[A-Z]|the\s+user)\S*)\b)"), read.attribute),
    (_pattern(r"^(?P<s>(?-i:[A-Z])[\w-]+)\s+and\s+(?P<o>(?-i:[A-Z])[\w-]+|the\s+user)\s+(?:has\s+|have\s+|just\s+|"
        r"finally\s+|recently\s+)*(?:broke|broken|split)\s+up\b"),
     read.parted),
    (_pattern(rf"{_SUBJECT}{_SOFT}drives\s+(?P<v>an?\s+(?!(?:lot|bit|little|few|car|long|"
        rf"great)\b)[^,;]+?){_END}"), read.slot("car")),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:likes|loves|adores|enjoys|is\s+(?:really\s+)?(?:into|fond\s+of|a\s+(?:big\s+|"
        rf"huge\s+)?fan\s+of))\s+{_REST}(?=$|[,;])"),
     read.likes("yes")),
    (_pattern(rf"{_SUBJECT}(?:{_SOFT}(?:hates|dislikes|detests|despises|loathes|can['’]?(?:no)?t\s+stand|"
        rf"cannot\s+stand)|(?:does\s+not|doesn['’]t|no\s+longer)\s+"
              rf"(?:{_SOFT}|even\s+)(?:likes?|loves?|enjoys?)|is\s+(?:not|no\s+longer)\s+(?:a\s+fan\s+of|"
              rf"into))\s+{_REST}(?=$|[,;]|\s+any\s?more)"),
     read.likes("no")),
    (_pattern(rf"{_SUBJECT}(?:{_SOFT}(?:owns|has|has\s+got)|{_GONE}(?:bought|adopted|"
        rf"got))\s+(?P<v>an?\s+[a-z][^,;]*)"), read.possession(holds=True)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:sold|lost|cancelled|canceled|gave\s+away|given\s+away|got\s+rid\s+of|crashed|"
        rf"returned|scrapped|donated)\s+"
              r"(?:\S+['’]s|(?:the\s+)?user['’]s|their|his|her|my)\s+(?!job\b)(?P<v>[a-z][^,;]*)"),
     read.possession(holds=False, happened=True)),
    (_pattern(r"^(?P<s>[^,]+?)['’]s\s+(?P<v>[a-z]+(?:\s[a-z]+)?)\s+(?:has\s+)?(?:died|passed\s+away|was\s+stolen|was\s+put\s+(?:down|to\s+sleep)|"
        r"had\s+to\s+be\s+put\s+(?:down|to\s+sleep)|ran\s+away|broke\s+down\s+for\s+good)"),
     read.possession(holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:does\s+not|doesn['’]t|no\s+longer)\s+(?:have|has|own|owns)\s+(?P<v>(?:an?|"
        rf"the)\s+[a-z][^,;]*?)\s*(?:any\s?more)?$"),
     read.possession(holds=False)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:quit|stopped|gave\s+up|given\s+up|kicked|ditched|packed\s+in|cut\s+out|"
              rf"sworn\s+off|swore\s+off|dropped)\s+(?P<verb>[a-z]+ing)\b"
              r"(?P<rest>\s+[^,;]*)?"), read.habit(holds=False)),
    (_pattern(rf"{_SUBJECT}(?:does\s+not|doesn['’]t|"
        rf"no\s+longer)\s+(?P<verb>[a-z]+?)(?P<rest>\s[^,;]*?)??(?:\s+any\s?more)?$"),
     read.no_habit),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?P<verb>[a-z]+s)\b(?P<rest>\s+[^,;]*)?"), read.habit(holds=True)),
    (_pattern(rf"^(?P<s>[\w-]+['’]s|the\s+user['’]s)\s+(?:girlfriend|boyfriend|wife|husband|partner|fianc[eé]e?|spouse)"
              rf"\s+is\s+(?:called\s+|named\s+)?{_NAME}$"),
     read.partner_of),
    (_pattern(rf"{_SUBJECT}{_SOFT}has\s+{_SOFT}a\s+(?:new\s+)?(?:girlfriend|boyfriend)\b"),
     read.fixed("relationship status", "in a relationship")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}graduated\b"),
     read.fixed("occupation", "student", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:switched|migrated|moved)\s+from\s+"
              r"(?P<v>[^,;]+?)\s+to\s+(?P<w>(?-i:[A-Z])[^,;]*)"),
     read.switched),
    (_pattern(rf"{_SUBJECT}(?:is|isn['’]t)\s+(?:not\s+|no\s+longer\s+)?{_SOFT}allergic\s+to\s+{_REST}(?=$|[,;]|\s+any\s?more)"),
     read.allergic),
    (_pattern(rf"{_SUBJECT}(?:has\s+been|was|got)\s+{_SOFT}promoted\s+to\s+{_REST}{_END}"),
     read.slot("occupation", happened=True)),
    (_pattern(rf"{_SUBJECT}{_SOFT}lives\s+at\s+(?P<v>\d+\w?\s+[^,;]+)"), read.slot("address")),
    (_pattern(rf"{_SUBJECT}used\s+to\s+(?P<verb>[a-z]+)(?P<rest>\s+[^,;]*)?$"), read.no_habit),
    (_pattern(rf"{_SUBJECT}{_SOFT}weighs\s+{_SOFT}(?P<v>\d+(?:[.,]\d+)?\s*(?:kg|kilos|lbs?|pounds|stone))\b"),
     read.slot("weight")),
)  # fmt: skip
