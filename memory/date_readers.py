"""The wordings of dates: a pattern each, and how its match is read on a calendar."""

import re
from collections.abc import Callable
from datetime import date, timedelta

from memory.timeline import AUTUMN, DAY, HOLIDAYS, SPRING, SUMMER, WINTER, Calendar, Span, holiday

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SEASONS = {"spring": SPRING, "summer": SUMMER, "autumn": AUTUMN, "fall": AUTUMN, "winter": WINTER}
_NUMBERS = dict(
    zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True),
    a=1, an=1, fifteen=15, twenty=20, thirty=30,
) | {"a couple of": 2, "couple of": 2, "a couple": 2}  # fmt: skip

_DECADES = dict(
    zip(
        "twenties thirties forties fifties sixties seventies eighties nineties".split(), range(20, 100, 10), strict=True
    )
)
_ORDINALS = (
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
    sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth
    twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"""
).split()
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY = r"(?P<weekday>mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|satur|sun)(?:day)\b"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b(?![-/:]\d)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b"
_COUNT = (
    r"(?P<count>\d{1,3}|an?\s+couple\s+of|a\s+couple|couple\s+of|an?|"
    + "|".join(number for number in _NUMBERS if " " not in number and len(number) > 2)
    + r")"
)
_SEASON = r"(?P<season>spring|summer|autumn|fall|winter)\b"
_WHICH = r"(?P<which>last|this\s+past|past|previous|this\s+coming|coming|this|next|following)"
_PART = r"(?P<part>early|mid(?:dle)?|late|(?:the\s+)?(?:very\s+)?(?:beginning|start|middle|end)\s+of)"
_UNIT = r"(?P<unit>day|night|week|weekend|fortnight|month|quarter|year|decade)"

Reader = Callable[[re.Match[str], Calendar, bool], Span | None]
"""What a match means on a calendar; the flag says whether its clause looks ahead. None: it names no time after all."""


def _month_of(match: re.Match[str]) -> int:
    return next(number for number, name in enumerate(_MONTHS, 1) if name.startswith(match["month"].lower()[:3]))


def _weekday_of(match: re.Match[str]) -> int:
    return next(number for number, name in enumerate(_DAYS) if name.startswith(match["weekday"].lower()[:3]))


def _count_of(match: re.Match[str]) -> int:
    word = " ".join(match["count"].lower().split())
    return int(word) if word.isdigit() else _NUMBERS.get(word, 2 if "couple" in word else 1)


def _iso_day(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    day = date(int(match[1]), int(match[2]), int(match[3]))
    return calendar.span(day, day)


def _slashed_day(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    month, day = (second, first) if match[2] == "." or first > 12 else (first, second)
    found = date(year if year > 99 else 2000 + year, month, day)
    return calendar.span(found, found)


def _year_month(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    return calendar.months(int(match["year"]), int(match["number"]), 1)


def _month_day(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    month, day = _month_of(match), int(match["day"])
    if match["year"]:
        found = date(int(match["year"]), month, day)
        return calendar.span(found, found)
    return calendar.yearly(month, day, ahead=ahead)


def _ordinal_of_month(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    day = _ORDINALS.index(match["ordinal"].lower()) + 1
    if match["year"]:
        found = date(int(match["year"]), _month_of(match), day)
        return calendar.span(found, found)
    return calendar.yearly(_month_of(match), day, ahead=ahead)


def _short_year(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    year = 2000 + int(match["short"])
    year -= 100 if year > calendar.today.year + 10 else 0
    season = match["season"]
    return calendar.months(year, _SEASONS[season.lower()], 3) if season else calendar.year(year)


def _day_of_month(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    day = int(match["day"])
    months = (calendar.month(offset).start.date() for offset in (-2, -1, 0, 1, 2))
    days = [
        first.replace(day=day)
        for first in months
        if (first.replace(day=28) + 4 * DAY).replace(day=1) - first >= day * DAY
    ]
    return calendar.nearest((calendar.span(found, found) for found in days), ahead=ahead)


def _days_of_month(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    month = _month_of(match)
    if match["year"]:
        year = int(match["year"])
        return calendar.span(date(year, month, int(match["day"])), date(year, month, int(match["last"])))
    last = calendar.yearly(month, int(match["last"]), ahead=ahead)
    return last and calendar.span(date(last.start.year, month, int(match["day"])), last.start.date())


def _part_of(span: Span | None, part: str | None, calendar: Calendar) -> Span | None:
    """A third of a month or year: its beginning, middle or end."""
    if span is None or not part:
        return span
    first, last = span.start.date(), (span.end - DAY).date()
    if 31 < (last - first).days < 300 or (last - first).days < 20:
        return span
    third = (
        0
        if re.search(r"early|beginning|start", part, re.IGNORECASE)
        else 2
        if re.search(r"late|end", part, re.IGNORECASE)
        else 1
    )
    if (last - first).days > 92:
        month = first.month + 4 * third
        return calendar.months(first.year, month, 4)
    begin = first + 10 * third * DAY
    return calendar.span(begin, last if third == 2 else begin + 9 * DAY)


def _month(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    month = _month_of(match)
    which = (match["which"] or "").lower()
    if match["year"]:
        span: Span | None = calendar.months(int(match["year"]), month, 1)
    elif which in {"last", "past", "previous", "this past"}:
        this = calendar.month().start
        span = calendar.months(this.year if month < this.month else this.year - 1, month, 1)
    elif which in {"next", "coming", "this coming"}:
        this = calendar.month().start
        span = calendar.months(this.year if month > this.month else this.year + 1, month, 1)
    else:
        span = calendar.yearly_months(month, 1, ahead=ahead)
    return _part_of(span, match["part"], calendar)


def _season(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    first = _SEASONS[match["season"].lower()]
    if match["year"]:
        return calendar.months(int(match["year"]), first, 3)
    which = (match["which"] or "").lower()
    this = calendar.day().start
    years = [calendar.months(year, first, 3) for year in range(this.year - 2, this.year + 3)]
    if which in {"last", "past", "previous", "this past"}:
        return [span for span in years if span.end <= this][-1]
    if which in {"next", "coming", "this coming"}:
        return next(span for span in years if span.start > this)
    return calendar.nearest(years, ahead=ahead)


def _quarter(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    number = "first second third fourth".split().index(match[2].lower()) + 1 if match[2] else int(match[1])
    year = int(match["year"]) if match["year"] else calendar.today.year
    return calendar.months(year, 3 * number - 2, 3)


def _decade(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    word = match["decade"].lower()
    digits = _DECADES[word] if word in _DECADES else int(word)
    year = digits if digits > 99 else (1900 if digits > 20 else 2000) + digits
    part = (match["part"] or "").lower()
    first, last = {"early": (0, 3), "mid": (4, 6), "late": (7, 9)}.get(part, (0, 9))
    return calendar.span(date(year + first, 1, 1), date(year + last, 12, 31))


def _year(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    return _part_of(calendar.year(int(match["year"])), match["part"], calendar)


def _years(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    first, last = int(match[1]), int(match[2])
    return calendar.span(date(first, 1, 1), date(last, 12, 31)) if first <= last else None


def _unit(match: re.Match[str], calendar: Calendar, offset: int) -> Span | None:
    unit = match["unit"].lower()
    match unit:
        case "day" | "night":
            return calendar.day(offset)
        case "week":
            return calendar.week(offset)
        case "fortnight":
            return calendar.week(2 * offset)
        case "weekend":
            return calendar.weekend(offset)
        case "month":
            return calendar.month(offset)
        case "quarter":
            first = calendar.month(3 * offset - (calendar.today.month - 1) % 3).start
            return calendar.months(first.year, first.month, 3)
        case "year":
            return calendar.year(calendar.today.year + offset)
        case _:
            year = calendar.today.year // 10 * 10 + 10 * offset
            return calendar.span(date(year, 1, 1), date(year + 9, 12, 31))


def _ago(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    return _unit(match, calendar, -_count_of(match))


def _hence(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    return _unit(match, calendar, _count_of(match)) if ahead else None  # "done in two days" is a duration


def _few_ago(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    far, near = _unit(match, calendar, -5), _unit(match, calendar, -2)
    return far and near and Span(far.start, near.end)


def _past_run(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[match["unit"].lower()] * _count_of(match)
    return Span(calendar.day(-days).start, calendar.day().end)


def _perfect_run(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    if not re.search(r"\b(?:have|has)\b|['’](?:ve|s)\b", match.string[: match.start()], re.IGNORECASE):
        return None  # "I lived there for three years" does not say when
    begun = _unit(match, calendar, -_count_of(match))
    return begun and Span(begun.start, calendar.day().end)


def _which_unit(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    which = match["which"].lower()
    if which == "following":
        return None
    return _part_of(_unit(match, calendar, _offset(which)), match["part"], calendar)


def _offset(which: str) -> int:
    if which in {"last", "past", "previous", "this past"}:
        return -1
    return 1 if which == "next" else 0


def _the_weekend(_: re.Match[str], calendar: Calendar, ahead: bool) -> Span:
    return calendar.weekend(0 if ahead or calendar.today.weekday() >= 5 else -1)


def _weekday(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    weekday, which = _weekday_of(match), (match["which"] or "").lower()
    if which in {"last", "past", "previous", "this past"}:
        return calendar.weekday(weekday, ahead=False, least_days=1 if which == "this past" else 2)
    if which == "next":
        return calendar.weekday(weekday, ahead=True, least_days=3)
    if which in {"this coming", "coming"}:
        return calendar.weekday(weekday, ahead=True, least_days=1)
    if which == "this":
        return _weekday_in_week(weekday, calendar, 0)
    return calendar.weekday(weekday, ahead=ahead, least_days=1)


def _weekday_but_one(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    last = calendar.weekday(_weekday_of(match), ahead=False, least_days=2)
    return last and calendar.span((last.start - 7 * DAY).date(), (last.start - 7 * DAY).date())


def _weekday_and_a_week(match: re.Match[str], calendar: Calendar, _: bool) -> Span | None:
    coming = calendar.weekday(_weekday_of(match), ahead=True, least_days=1)
    return coming and calendar.span((coming.start + 7 * DAY).date(), (coming.start + 7 * DAY).date())


def _weekday_in_week(weekday: int, calendar: Calendar, offset: int) -> Span:
    day = calendar.week(offset).start.date() + timedelta(days=weekday)
    return calendar.span(day, day)


def _weekday_of_week(match: re.Match[str], calendar: Calendar, _: bool) -> Span:
    return _weekday_in_week(_weekday_of(match), calendar, _offset(match["which"].lower()))


def _holiday(match: re.Match[str], calendar: Calendar, ahead: bool) -> Span | None:
    name = match["holiday"].lower().replace("’", "'").replace("st. ", "st ")
    if match["year"]:
        day = holiday(name, int(match["year"]))
        return calendar.span(day, day)
    which = (match["which"] or "").lower()
    days = [holiday(name, year) for year in range(calendar.today.year - 2, calendar.today.year + 3)]
    if which in {"last", "past", "previous", "this past"}:
        days = [day for day in days if day < calendar.today]
        return calendar.span(days[-1], days[-1])
    forward = ahead or which in {"next", "coming", "this coming"}
    return calendar.nearest((calendar.span(day, day) for day in days), ahead=forward)


def _offset_day(offset: int) -> Reader:
    return lambda _match, calendar, _ahead: calendar.day(offset)


def _week_but_one(offset: int) -> Reader:
    return lambda match, calendar, _ahead: _unit(match, calendar, offset)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_BEFORE = r"\b(?:in|during|since|until|till|by|from|to|through|of|for|around|about|back\s+in|before|after|between)\s+"
_BEFORE_YEAR = r"\b(?:in|during|since|until|till|by|from|to|through|around|back\s+in|before|after|between|of)\s+"
_NOT_COUNTED = (
    r"(?!\s*(?:%|€|\$|(?:euros?|dollars?|pounds?|bucks|people|km|miles|met(?:re|er)s|words|steps|"
    r"calories|hours|items|pages|users|"
    r"kg|years?|things|times|copies|units|points)\b))"
)
PREPOSITION = _pattern(_BEFORE)
_NO_WHICH, _NO_PART, _NO_YEAR = r"(?P<which>(?!))?", r"(?P<part>(?!))?", r"(?P<year>(?!))?"

READERS: tuple[tuple[re.Pattern[str], Reader], ...] = (
    (_pattern(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?\b"), _iso_day),
    (_pattern(r"(?<![\d/.])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d{2})\b(?![/.]\d)"), _slashed_day),
    (_pattern(rf"(?<![\d/])(?P<number>0?[1-9]|1[0-2])/{_YEAR}"), _year_month),
    (_pattern(r"\b(?P<year>(?:19|20)\d\d)-(?P<number>0[1-9]|1[0-2])\b(?!-)"), _year_month),
    (_pattern(rf"\b{_MONTH}\s+{_DAY}\s*(?:-|–|to|through)\s*(?P<last>[0-3]?\d)(?:st|nd|rd|"
        rf"th)?\b(?:,?\s+{_YEAR})?"), _days_of_month),
    (_pattern(rf"\b{_DAY}\s*(?:-|–|to|through)\s*(?P<last>[0-3]?\d)(?:st|nd|rd|"
        rf"th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?"), _days_of_month),
    (_pattern(rf"\bthe\s+(?P<ordinal>{'|'.join(reversed(_ORDINALS))})\s+(?:day\s+)?of\s+{_MONTH}(?:,?"
        rf"\s+{_YEAR})?"), _ordinal_of_month),
    (_pattern(r"\b(?:in|since|(?:the\s+)?(?P<season>spring|summer|autumn|fall|"
        r"winter)\s+(?:of\s+)?)\s*['’](?P<short>\d\d)\b(?!['’]?s)"), _short_year),
    (_pattern(rf"\b(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?"), _month_day),
    (_pattern(rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}(?!\s*%)(?:,?\s+{_YEAR})?"), _month_day),
    (_pattern(rf"\b(?:{_PART}[\s-]+)?{_NO_WHICH}{_MONTH}(?:\s+of|,)?\s+{_YEAR}"), _month),
    (_pattern(rf"\b{_PART}[\s-]+{_NO_WHICH}{_MONTH}{_NO_YEAR}(?!\s+\d)"), _month),
    (_pattern(rf"\b{_NO_PART}{_WHICH}\s+{_MONTH}{_NO_YEAR}(?!\s+\d)"), _month),
    (_pattern(rf"{_BEFORE}{_NO_PART}{_NO_WHICH}{_MONTH}{_NO_YEAR}(?!\s+\d)"), _month),
    (_pattern(rf"(?<=\band\s){_NO_PART}{_NO_WHICH}(?-i:(?=[A-Z])){_MONTH}{_NO_YEAR}(?!\s+\d)"), _month),
    (_pattern(rf"\b{_NO_WHICH}(?:the\s+)?{_SEASON}(?:\s+of|,)?\s+{_YEAR}"), _season),
    (_pattern(rf"\b{_WHICH}\s+{_SEASON}{_NO_YEAR}"), _season),
    (_pattern(rf"{_BEFORE}(?:the\s+)?{_NO_WHICH}{_SEASON}{_NO_YEAR}"), _season),
    (_pattern(rf"\bQ([1-4])()(?:\s+(?:of\s+)?{_YEAR})?"), _quarter),
    (_pattern(rf"\bthe()\s+(first|second|third|fourth)\s+quarter(?:\s+of\s+{_YEAR})?"), _quarter),
    (_pattern(r"\bthe\s+(?:(?P<part>early|mid|late)[\s-]+)?['’]?(?P<decade>(?:19|20)?[0-9]0)['’]?s\b"), _decade),
    (_pattern(rf"\bthe\s+(?:(?P<part>early|mid|late)[\s-]+)?(?P<decade>{'|'.join(_DECADES)})\b"), _decade),
    (_pattern(r"\b((?:19|20)\d\d)\s*(?:-|–)\s*((?:19|20)\d\d)\b"), _years),
    (_pattern(rf"\b{_WEEKDAY}\s+(?:of\s+)?{_WHICH}\s+week\b"), _weekday_of_week),
    (_pattern(rf"\b{_WHICH}\s+week\s+(?:on\s+)?{_WEEKDAY}"), _weekday_of_week),
    (_pattern(r"\b(?:the\s+)?day\s+before\s+yesterday\b"), _offset_day(-2)),
    (_pattern(r"\b(?:the\s+)?day\s+after\s+tomorrow\b"), _offset_day(2)),
    (_pattern(r"\b(?:yesterday|last\s+(?:night|evening))\b"), _offset_day(-1)),
    (_pattern(r"\b(?:tomorrow|tmrw)\b"), _offset_day(1)),
    (_pattern(r"\b(?:today|tonight|this\s+(?:morning|afternoon|evening)|earlier\s+today)\b"), _offset_day(0)),
    (_pattern(r"\bthe\s+(?P<unit>week|month|year|weekend|night)\s+before\s+last\b"), _week_but_one(-2)),
    (_pattern(rf"\bthe\s+{_WEEKDAY}\s+before\s+last\b"), _weekday_but_one),
    (_pattern(rf"\b(?:an?|one)\s+week\s+(?:from|on)\s+{_WEEKDAY}"), _weekday_and_a_week),
    (_pattern(rf"\b{_WEEKDAY}\s+week\b"), _weekday_and_a_week),
    (_pattern(r"\bthe\s+(?P<unit>week|month|year|weekend)\s+after\s+next\b"), _week_but_one(2)),
    (_pattern(r"\bhalf\s+a\s+(?P<unit>year)\s+ago\b"), lambda _match, calendar, _ahead: calendar.month(-6)),
    (_pattern(rf"\b{_COUNT}\s+{_UNIT}s?\s+(?:ago|back|earlier)\b"), _ago),
    (_pattern(rf"\b(?:a\s+few|several|some)\s+{_UNIT}s\s+(?:ago|back)\b"), _few_ago),
    (_pattern(rf"\b(?:in|within)\s+{_COUNT}\s+{_UNIT}s?(?:['’]s?\s+time)?\b(?!\s+of\b)"), _hence),
    (_pattern(rf"\b{_COUNT}\s+{_UNIT}s?\s+from\s+(?:now|today)\b"), lambda m, c, _: _unit(m, c, _count_of(m))),
    (_pattern(rf"\b(?:(?:for|over|in|during)\s+)?(?:the\s+)?(?:past|last)\s+{_COUNT}\s+(?P<unit>day|week|month|"
        rf"year)s\b"), _past_run),
    (_pattern(rf"\bfor\s+(?:about\s+|over\s+|almost\s+)?{_COUNT}\s+(?P<unit>day|week|month|year)s?\b"), _perfect_run),
    (_pattern(rf"\b(?:{_PART}\s+)?(?:the\s+)?{_WHICH}\s+{_UNIT}\b"), _which_unit),
    (_pattern(r"\b(?:over|on|at|during|for)\s+the\s+weekend\b"), _the_weekend),
    (_pattern(
        rf"\b(?:{_WHICH}"
        rf"\s+)?(?P<holiday>{'|'.join(re.escape(name).replace(chr(39), '[’' + chr(39) + ']?') for name in HOLIDAYS)})\b"
        rf"(?:,?\s+(?:of\s+|in\s+)?{_YEAR})?"
    ), _holiday),
    (_pattern(rf"(?<!every\s)(?<!each\s)\b(?:{_WHICH}\s+)?{_WEEKDAY}(?!s)"), _weekday),
    (_pattern(rf"{_BEFORE_YEAR}(?:{_PART}\s+)?{_YEAR}{_NOT_COUNTED}"), _year),
    (_pattern(rf"\b{_PART}\s+{_YEAR}{_NOT_COUNTED}"), _year),
    (_pattern(r"\bon\s+the\s+(?P<day>[0-3]?\d)(?:st|nd|rd|th)(?=\s*(?:$|[,.;!?]|(?:and|at|for|with|to|because|"
        r"after|so|i|we)\b))"), _day_of_month),
    (_pattern(rf"(?<=\band\s){_NO_PART}{_YEAR}"), _year),
)  # fmt: skip
