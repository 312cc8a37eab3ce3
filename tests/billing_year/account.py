"""One tenant's account: its plan and periods, its usage, its invoices. What it is moved by is in `life`."""

from fractions import Fraction

from rules import date, days_left, last_day, month_of, months_later, packages, rounded, tax_of


class Invoice:
    """One invoice as it should be."""

    def __init__(self, at, due, reason, period):
        self.at, self.due, self.reason, self.period = at, due, reason, period
        self.lines, self.tax, self.total, self.left = [], 0, 0, 0
        self.used_credit, self.credited = 0, 0
        # What it charges for and takes off, each with the time that it is for.
        self.charges, self.takes = [], []
        self.status, self.failed = "open", None

    def shown(self):
        """For the comparison."""
        return {
            "createdAt": self.at, "dueDate": self.due, "reason": self.reason, "period": self.period, "items": sorted(self.lines),
            "taxMinor": self.tax, "amountMinor": self.total, "amountDueMinor": self.left, "status": self.status,
        }


class Period:
    """A period that runs: the kth from its anchor, with the plans that it had, each from a moment on."""

    def __init__(self, anchor, cycle, index, plan):
        length = 12 if cycle == "yearly" else 1
        self.anchor, self.cycle, self.index = anchor, cycle, index
        self.start, self.end = (months_later(anchor, length * k) for k in (index, index + 1))
        self.parts = [(self.start, plan)]

    def span(self):
        """For the comparison."""
        return {"start": self.start, "end": self.end}


class Account:
    """What is agreed, used, charged and owed."""

    def __init__(self, rules, who, at):
        self.rules, self.who, self.now = rules, who, at
        self.terms = (who["plan"], who["billingCycle"], ())
        self.period, self.pending, self.cancels = None, None, False
        self.credit, self.invoices, self.notes = 0, [], 0
        self.calls, self.level = [], 0
        # Of storage, by month: the most beyond the limit, and each rise of it that is not billed, with the stay that it is billed with.
        self.most, self.rises = {}, {}
        # How often another plan came, and which.
        self.stay = 0, self.terms[0]
        # What is agreed and was not charged after all, with what is charged in its place.
        self.instead = {}

    def items(self, terms):
        """What terms are made of: kind, name, price of one, how many."""
        plan, cycle, add_ons = terms
        prices = [("subscription", plan, self.rules["plans"][plan][cycle], 1)]
        return prices + [("addon", name, self.rules["addOns"][name][cycle], many) for name, many in add_ons]

    def price(self, terms):
        """What a period costs."""
        return sum(price * many for _, _, price, many in self.items(terms))

    def price_per_month(self, terms):
        """By which an upgrade is told from a downgrade."""
        plan, _, add_ons = terms
        return sum(price * many for _, _, price, many in self.items((plan, "monthly", add_ons)))

    def costs(self, terms):
        """Whether there is anything to bill."""
        plan, _, add_ons = terms
        return bool(self.price_per_month(terms) or add_ons or self.rules["plans"][plan].get("storage"))

    def whole(self, terms):
        """Lines of a whole period in advance."""
        return [(kind, price * many) for kind, _, price, many in self.items(terms)]

    def charged(self, items):
        """What was charged for these, for the rest of the period."""
        return [now for item in items for now in self.instead.get(item, [item])]

    def uncharge(self, invoice):
        """An invoice of the running period charges nothing any more."""
        if not self.period or invoice.period != self.period.span():
            return
        taken = {item[1] for item, _ in self.taken_off(invoice)}
        charges = [charge for charge, _ in invoice.charges if charge[1] not in taken]
        came = {item: [now for now in self.charged([item]) if now not in charges] for item in self.items(self.terms)
                if any(now in charges for now in self.charged([item]))}
        self.stand_for(came, [one for one, (_, end), _ in invoice.takes if end == self.period.end])

    def stand_for(self, came, before):
        """What came stands for what there was: a plan for a plan, an add-on for itself, the first of them for all else."""
        self.instead.update(came)
        for one in before:
            same = [item for item in came if (item[0], one[0]) == ("subscription", "subscription") or item[:2] == one[:2]]
            for item in (same or list(came))[:1]:
                self.instead[item] = self.instead[item] + [one]

    def taken_off(self, invoice):
        """What later invoices have taken off of what this one charges: each with the minor units."""
        later = self.invoices[self.invoices.index(invoice) + 1:]
        is_of = lambda taken, begun, end: any(item[1] == taken[1] and start <= begun and end <= over
                                              for item, (start, over) in invoice.charges)
        return [(taken, amount) for one in later if one.status != "void" for taken, (begun, end), amount in one.takes
                if is_of(taken, begun, end)]

    def left_to_credit(self, invoice):
        """What of an invoice can be taken back: and whether that is all of it."""
        base = sum(amount for kind, amount in invoice.lines if kind not in ("tax", "credit"))
        worth = invoice.total + invoice.used_credit
        gone = rounded(Fraction(sum(amount for _, amount in self.taken_off(invoice)) * worth, max(base, 1)))
        left = worth - invoice.credited - gone
        return min(left, invoice.left) if invoice.status == "open" else left, worth - gone

    def shares(self, items, sign):
        """Lines of the days that are left of the running period, each rounded once."""
        left, of = days_left(self.period.start, self.period.end, self.now)
        return [("proration", sign * rounded(Fraction(price * many * left, of))) for _, _, price, many in items]

    # Usage

    def included(self):
        """Stored octets that are not billed; `None` where none are, however many."""
        plan, _, add_ons = self.terms
        plan = self.rules["plans"][plan]
        if not plan.get("storage"):
            return None
        return plan["storage"]["included"] + sum(self.rules["addOns"][name].get("storage", 0) * many for name, many in add_ons)

    def look(self):
        """What is stored now counts for the month, by the plan of now."""
        included, month = self.included(), month_of(self.now)
        beyond = 0 if included is None else max(self.level - included, 0)
        rise = beyond - self.most.get(month, 0)
        if rise > 0:
            self.most[month] = beyond
            self.rises.setdefault(month, []).append((self.stay, rise))

    def stay_in(self, plan):
        """The period that runs has this plan from now on."""
        if plan != self.stay[1]:
            self.stay = self.stay[0] + 1, plan

    def begin_stay(self, plan):
        """A first period: what was stored in its month before is not billed, but for what is there."""
        self.stay, month, included = (self.stay[0] + 1, plan), month_of(self.now), self.included()
        before = sum(rise for _, rise in self.rises.get(month, []))
        billed = self.most.get(month, 0) - before
        is_there = 0 if included is None else max(self.level - included - billed, 0)
        self.rises[month] = [(self.stay, min(is_there, before))]

    def call(self, many):
        """Calls of an app; beyond the limit of the day they are billed where the plan says so."""
        plan = self.rules["plans"][self.terms[0]]
        if plan.get("calls"):
            today = sum(made for at, made, _ in self.calls if date(at) == date(self.now))
            limit = plan["calls"]["included"]
            beyond = max(today + many - limit, 0) - max(today - limit, 0)
            self.calls.append((self.now, many, beyond))

    def usage(self, end, ends=False):
        """Lines of what was used in the period and not billed before. A day belongs to the period in which it ends, a month's storage
        to that in which the month ends. Where nothing follows, the day and the month in which it ends are in it as well."""
        lines, parts = [], self.period.parts if self.period else []
        for index, (begun, name) in enumerate(parts):
            is_last = index + 1 == len(parts)
            first, after = date(begun), date(end if is_last else parts[index + 1][0])
            plan = self.rules["plans"][name]
            is_in = lambda day: first <= day < after or (ends and is_last and day == after)
            calls, kept = 0, []
            for call in self.calls:
                # What a day has counted before the first period begins is nobody's.
                before_all = self.period.index == 0 and call[0] < self.period.start
                if is_in(date(call[0])) and not before_all:
                    calls += call[2]
                else:
                    kept.append(call)
            self.calls = kept
            if calls and plan.get("calls"):
                lines.append(("overage", packages(calls, plan["calls"]["per"], plan["calls"]["price"])))
        return lines + self.stored(parts, date(end), ends)

    def stored(self, parts, after, ends):
        """Lines of the storage of those months, one for each stay in a plan."""
        if not parts:
            return []
        last_month = month_of(min(self.now, self.period.end - 1))
        stays = {}
        for month in list(self.rises):
            goes_on = ends and parts[-1][0] < self.period.end and month == last_month and last_day(month) >= after
            if date(parts[0][0]) <= last_day(month) < after or goes_on:
                for stay, rise in self.rises.pop(month):
                    stays[stay] = stays.get(stay, 0) + rise
        prices = {plan: self.rules["plans"][plan].get("storage") for _, plan in stays}
        return [("overage", packages(used, prices[plan]["per"], prices[plan]["price"]))
                for (_, plan), used in stays.items() if used and prices[plan]]

    # Money

    def issue(self, lines, reason, span, charges=(), takes=()):
        """An invoice of these lines, if they come to anything: with tax on their sum; what is due to the tenant is used first."""
        base = sum(amount for _, amount in lines)
        if base == 0:
            return
        invoice = Invoice(self.now, self.now + self.rules["dueDays"] * 86_400_000, reason, span)
        tax = tax_of(base, self.who["billing"], self.rules["tax"])
        invoice.lines = [list(line) for line in lines]
        if tax:
            invoice.lines.append(["tax", tax[0]])
            invoice.tax = tax[1]
        total = sum(amount for _, amount in invoice.lines)
        # A negative sum becomes credit; a positive one takes it.
        taken = min(total, self.credit)
        if taken:
            invoice.lines.append(["credit", -taken])
        self.credit -= taken
        invoice.used_credit = taken
        invoice.charges, invoice.takes = list(charges), list(takes)
        invoice.total = invoice.left = total - taken
        if invoice.total == 0:
            invoice.status = "paid"
        self.invoices.append(invoice)

    def open(self):
        """Invoices to be paid, oldest first."""
        return [invoice for invoice in self.invoices if invoice.status == "open"]

    def failed(self):
        """Of them, those that are overdue."""
        return [invoice for invoice in self.open() if invoice.failed is not None]

