"""The rules of money and of the calendar, as the interface states them: standard library only, exact numbers only."""

from datetime import datetime, timedelta, timezone
from fractions import Fraction

DAY = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def when(ms):
    """Epoch milliseconds as a UTC time."""
    return EPOCH + timedelta(milliseconds=ms)


def millis(moment):
    """A UTC time as epoch milliseconds."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def date(ms):
    """The UTC date of a moment."""
    return when(ms).date()


def month_of(ms):
    """The UTC month of a moment."""
    moment = when(ms)
    return moment.year, moment.month


def last_day(month):
    """The date on which a month ends."""
    year, number = month
    first_of_next = datetime(year + number // 12, number % 12 + 1, 1)
    return (first_of_next - timedelta(days=1)).date()


def next_month_begins(ms):
    """The moment after `ms` at which a month begins."""
    year, number = month_of(ms)
    return millis(datetime(year + number // 12, number % 12 + 1, 1, tzinfo=timezone.utc))


def months_later(anchor, count):
    """anchor + count months: the same day and time, or the month's last day where it has no such day."""
    moment = when(anchor)
    index = moment.year * 12 + moment.month - 1 + count
    year, number = index // 12, index % 12 + 1
    day = min(moment.day, last_day((year, number)).day)
    return millis(moment.replace(year=year, month=number, day=day))


def rounded(amount):
    """To minor units, once; halves away from zero."""
    amount = Fraction(amount)
    half_up = (abs(amount) * 2 + 1) // 2
    return half_up if amount >= 0 else -half_up


def days_left(start, end, at):
    """How many days are left of a period, and of how many: differences of UTC dates."""
    return max((date(end) - date(at)).days, 0), (date(end) - date(start)).days


def packages(units, per, price):
    """What so many units cost: each started package."""
    return -(-units // per) * price


def tax_of(base, customer, rates):
    """The tax line of an invoice: what it adds, and how much tax it tells of; `None` where the country has no rate."""
    rate = rates.get(customer.get("country"))
    if rate is None:
        return None
    percent = Fraction(rate["percent"])
    added = rounded(base * percent / 100)
    contained = rounded(base * percent / (100 + percent))
    is_free = customer.get("taxExempt") or (rate["reverse"] and customer.get("vatId"))
    if is_free:
        # Prices that contain the tax come down by it.
        return (-contained if rate["inclusive"] else 0), 0
    return (0, contained) if rate["inclusive"] else (added, added)
