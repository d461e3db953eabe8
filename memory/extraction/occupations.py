"""Which noun phrases name what somebody does for a living."""

import re

_JOBS = frozenset(
    """accountant actor actress actuary analyst anaesthetist anesthesiologist announcer apprentice archaeologist
    architect artist assistant astronaut attorney au-pair author baker banker barber barista bartender biologist
    blacksmith bookkeeper bookseller bricklayer builder busker butcher captain cardiologist caretaker carer
    carpenter cashier chaplain chauffeur chef chemist chiropractor cleaner clerk coach cobbler coder comedian
    composer conductor consultant contractor cook copywriter courier curator dancer dentist designer detective
    developer dev devops dietitian diplomat director diver doctor dj doorman draftsman driver economist editor
    electrician engineer entrepreneur executive farmer filmmaker firefighter fisherman florist foreman freelancer
    gardener geologist geophysicist goldsmith guard guide hairdresser handyman historian housekeeper illustrator
    inspector instructor intern interpreter janitor jeweller jeweler journalist judge lawyer lecturer librarian
    lifeguard linguist locksmith logger magician manager mason mathematician mechanic merchant midwife miner model
    mover musician nanny neurologist nurse nutritionist officer operator optician painter paralegal paramedic pastor
    pharmacist photographer physicist physiotherapist pianist pilot plumber poet policeman policewoman politician
    postdoc postman potter priest principal producer professor programmer psychiatrist psychologist publicist
    publisher radiographer radiologist ranger realtor receptionist recruiter referee reporter researcher retiree
    sailor salesman salesperson saleswoman scientist sculptor seamstress secretary shepherd singer sociologist
    soldier solicitor statistician stonemason strategist student stylist superintendent supervisor surgeon surveyor
    tailor tattooist teacher technician therapist trader trainer translator trucker tutor typist undertaker usher
    vet veterinarian violinist waiter waitress warden watchmaker weaver welder writer zookeeper ceo cto cfo coo
    founder co-founder freelance intern partner president""".split()
)
_NOT_JOBS = frozenset("partner president founder co-founder model guide guard judge captain mover member fan".split())
"""Words that need a workplace after them to be a job."""


def occupation_in(phrase: str) -> str | None:
    """The occupation that a phrase after "is a" names, without its article and what follows, or None."""
    match = re.match(r"(?:(?P<article>an?|the)\s+)?(?P<noun>[^,;]*)", phrase.strip(), re.IGNORECASE)
    if match is None:
        return None
    cut = re.split(
        r"\s+(?:at|for|in|with|of|by|on|from|who|that|now|these|and|but|because|since|here|nowadays|currently|"
        r"again|as|to|so|when|until)\b",
        match["noun"],
        maxsplit=1,
    )
    noun = cut[0].strip(" .!")
    words = noun.lower().split()
    if not words or len(words) > 4 or words[-1] not in _JOBS or words[0] in {"not", "no", "like", "such"}:
        return None
    if words[-1] in _NOT_JOBS and len(cut) == 1:
        return None
    return noun
