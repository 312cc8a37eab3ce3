"""The life of a subscription: what is asked for, what becomes due by itself, and the states between which both move it."""

from account import Account, Period
from rules import DAY, months_later, next_month_begins

SERVED = ("trial", "active", "past_due")
# What is done more than so much after its time counts from when it was done.
LATE = DAY
# At the same moment, in this order.
MONTH, OVERDUE, SUSPEND, END_TRIAL, RENEW = range(5)


class Refused(Exception):
    """The state does not allow it."""


class Life(Account):
    """A tenant from its creation on."""

    def __init__(self, rules, who, at):
        super().__init__(rules, who, at)
        is_free = self.price_per_month(self.terms) == 0
        self.status = "active" if is_free else "trial"
        self.trial_end = None if is_free else at + rules["trialDays"] * DAY
        self.unpaid = False
        self.next_month = next_month_begins(at)

    # What becomes due

    def due(self):
        """Everything that will happen by itself: when, in which order, what."""
        yield self.next_month, MONTH, self.begin_month
        if self.status in SERVED:
            for invoice in self.open():
                if invoice.failed is None:
                    yield invoice.due, OVERDUE, lambda invoice=invoice: self.overdue(invoice)
        if self.status == "past_due" and self.failed():
            yield min(invoice.failed for invoice in self.failed()) + self.rules["graceDays"] * DAY, SUSPEND, self.suspend_unpaid
        if self.status == "trial":
            yield self.trial_end, END_TRIAL, self.end_trial
        goes_on = self.status in ("active", "past_due") or (self.status == "suspended" and self.cancels)
        if self.period and goes_on:
            yield self.period.end, RENEW, self.renew

    def run(self, until):
        """Does all that is due, one after the other."""
        while True:
            at, _, step = min(self.due(), key=lambda one: one[:2])
            if at > until:
                break
            self.now = max(self.now, at)
            step()
        self.now = until

    def begin_month(self):
        """What is stored counts from the month's begin on."""
        self.look()
        self.next_month = next_month_begins(self.now)

    def overdue(self, invoice):
        """Not paid in time."""
        invoice.failed = self.now if self.now > invoice.due + LATE else invoice.due
        if self.status == "active":
            self.status = "past_due"

    def suspend_unpaid(self):
        """Not paid within the grace either."""
        self.status, self.unpaid = "suspended", True

    def end_trial(self):
        """The first period begins."""
        if self.cancels:
            self.status, self.cancels = "canceled", False
            return
        self.status = "active"
        self.begin()

    def begin(self):
        """A first period from now on; what was used in one before it is billed with it."""
        lines = self.usage(self.period.end, ends=True) if self.period else []
        # What was to change when the period is over: it is.
        self.terms, self.pending = self.pending or self.terms, None
        self.period = None
        if self.costs(self.terms):
            self.period = Period(self.now, self.terms[1], 0, self.terms[0])
            self.begin_stay(self.terms[0])
            lines += self.whole(self.terms)
        self.look()
        self.issue_period(lines)

    def issue_period(self, lines):
        """The invoice with which a period begins, or the last one's usage."""
        self.instead = {}
        span = self.period and self.period.span()
        charges = [(item, (self.period.start, self.period.end)) for item in self.items(self.terms)] if self.period else []
        self.issue(lines, "period", span, charges)

    def renew(self):
        """The period is over: the next one begins, or the subscription ends."""
        follows = not self.cancels and self.costs(self.pending or self.terms)
        lines, ended = self.usage(self.period.end, ends=not follows), self.period
        if self.cancels:
            self.cancels, self.pending, self.period = False, None, None
            self.issue(lines, "end", None)
            self.status = "canceled"
            return
        self.terms, self.pending = self.pending or self.terms, None
        plan, cycle, _ = self.terms
        self.period = None
        if self.costs(self.terms):
            same = cycle == ended.cycle
            self.period = Period(ended.anchor if same else ended.end, cycle, ended.index + 1 if same else 0, plan)
            self.stay_in(plan)
            lines += self.whole(self.terms)
        self.look()
        self.issue_period(lines)

    # What is asked for

    def subscribe(self, plan, cycle, add_ons):
        """More per month comes now, less with the next period, another cycle begins anew."""
        terms = (plan, cycle, tuple(map(tuple, add_ons)))
        if self.status == "canceled":
            raise Refused
        if terms == self.terms:
            self.pending = None
        elif self.period and self.period.end > self.now:
            price = self.price if terms[1] == self.terms[1] else self.price_per_month
            begins_none = self.status == "suspended" and terms[1] != self.terms[1]
            if begins_none or price(terms) < price(self.terms):
                self.pending = terms
            else:
                self.change(terms)
        else:
            self.terms, self.pending = terms, None
            if self.status == "trial" and not self.costs(terms):
                self.status, self.trial_end = "active", self.now
            elif self.status in ("active", "past_due"):
                self.begin()
            self.look()

    def change(self, terms):
        """In the midst of a period."""
        old, new = self.items(self.terms), self.items(terms)
        another_plan = terms[0] != self.terms[0]
        rest = self.now, self.period.end
        if terms[1] != self.terms[1]:
            old = self.charged(old)
            lines = self.shares(old, -1) + self.whole(terms) + self.usage(self.now)
            self.period, self.instead = Period(self.now, terms[1], 0, terms[0]), {}
            charges = [(item, (self.now, self.period.end)) for item in new]
        else:
            more = [one for one in new if one not in old]
            old = self.charged([one for one in old if one not in new])
            lines = self.shares(old, -1) + self.shares(more, 1)
            self.instead = {item: now for item, now in self.instead.items() if item in new}
            if sum(amount for _, amount in lines) == 0:
                # No invoice tells of it.
                self.stand_for({item: [] for item in more}, old)
            charges = [(item, rest) for item in more]
            if another_plan:
                self.period.parts.append((self.now, terms[0]))
        takes = [(item, rest, -line[1]) for item, line in zip(old, lines) if line[1]]
        self.stay_in(terms[0])
        self.terms, self.pending = terms, None
        self.look()
        self.issue([line for line in lines if line[1]], "change", self.period.span(), charges, takes)

    def cancel(self, at_period_end):
        """Now, or when what is paid for is over."""
        if self.status == "canceled":
            return
        runs = self.status == "trial" or (self.period and self.period.end > self.now)
        if at_period_end and runs:
            self.cancels = True
            return
        self.end()

    def end(self):
        """The subscription ends now: what was used is billed; what was paid for serves a tenant that comes back in time."""
        lines = []
        if self.period:
            lines = self.usage(min(self.period.end, self.now), ends=True)
        self.pending, self.cancels, self.unpaid = None, False, False
        self.issue(lines, "end", None)
        self.status = "canceled"

    def suspend(self):
        """The operator refuses its requests."""
        if self.status == "canceled":
            raise Refused
        if self.status != "suspended":
            self.status, self.unpaid = "suspended", False

    def activate(self):
        """Served again, in the state that dates and invoices imply."""
        if self.status in ("active", "past_due"):
            self.cancels = False
            return
        self.unpaid = False
        if self.status == "canceled" and self.period:
            # Nothing was used meanwhile.
            self.period.parts = [(self.now, self.period.parts[-1][1])]
        if self.status == "trial":
            self.status, self.trial_end = "active", self.now
        elif self.trial_end is not None and self.trial_end > self.now and not self.period:
            self.status = "trial"
            return
        else:
            self.status = "past_due" if self.failed() else "active"
            for invoice in self.failed():
                invoice.failed = self.now
        self.begin_if_over()

    def begin_if_over(self):
        """Where the period is over, or there was none, one begins."""
        if self.period and self.period.end > self.now:
            return
        if self.period or self.costs(self.terms):
            self.begin()

    def settle(self):
        """Who owes nothing overdue any more is active again, unless the operator has suspended it."""
        was_suspended = self.status == "suspended"
        if self.failed() or not (self.status == "past_due" or (was_suspended and self.unpaid)):
            return
        self.status, self.unpaid = "active", False
        if was_suspended:
            self.begin_if_over()

    def pay(self):
        """All that was open when it was looked."""
        for invoice in self.open():
            invoice.status, invoice.left = "paid", 0
            self.settle()

    def credit_note(self, percent):
        """A part of the newest invoice that has an amount."""
        found = [one for one in self.invoices if one.status in ("open", "paid") and one.total >= 100]
        if not found:
            return
        invoice = found[-1]
        amount = invoice.total * percent // 100
        left, worth = self.left_to_credit(invoice)
        if not 0 < amount <= left:
            raise Refused
        is_all = invoice.credited + amount >= worth
        self.notes += 1
        invoice.credited += amount
        if is_all:
            self.uncharge(invoice)
        if invoice.status == "paid":
            self.credit += amount
        else:
            invoice.left -= amount
        self.settle()

    def void(self):
        """The newest open invoice was a mistake; the credit that it used is there again. Not where a part of it was taken off since."""
        if self.open():
            invoice = self.open()[-1]
            if self.taken_off(invoice):
                raise Refused
            invoice.status, invoice.left = "void", 0
            self.uncharge(invoice)
            self.credit += invoice.used_credit
            self.settle()

    def report(self, level):
        """So much is stored."""
        self.level = level
        self.look()

    def use(self, many):
        """Calls; served only in some states."""
        if self.status in SERVED:
            self.call(many)
