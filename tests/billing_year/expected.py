"""Reads a scenario (who asked for what, and when) from standard input, and writes which invoices there should be and how each tenant
should stand in the end, computed from the rules of the interface alone. Standard library only."""

import json
import sys

from life import Life, Refused

ACTIONS = {
    "subscribe": lambda life, action: life.subscribe(action["plan"], action["billingCycle"], action["addOns"]),
    "cancel": lambda life, action: life.cancel(action["atPeriodEnd"]),
    "suspend": lambda life, _: life.suspend(),
    "activate": lambda life, _: life.activate(),
    "pay": lambda life, _: life.pay(),
    "credit": lambda life, action: life.credit_note(action["percent"]),
    "void": lambda life, _: life.void(),
    "report": lambda life, action: life.report(action["level"]),
    "calls": lambda life, action: life.use(action["many"]),
}


def shown(life):
    """How a tenant stands in the end."""
    plan, cycle, add_ons = life.terms
    period = life.period if life.status in ("trial", "active", "past_due", "suspended") else None
    return {
        "status": life.status, "plan": plan, "billingCycle": cycle, "addOns": [list(one) for one in add_ons],
        "currentPeriodStart": period and period.start, "currentPeriodEnd": period and period.end, "cancelAtPeriodEnd": life.cancels,
        "creditMinor": life.credit, "amountDueMinor": sum(invoice.left for invoice in life.open()),
        "invoices": [invoice.shown() for invoice in life.invoices],
    }


def main():
    """From the first step to the last."""
    scenario = json.load(sys.stdin)
    lives, refused = {}, []
    for step in scenario["steps"]:
        for life in lives.values():
            life.run(step["at"])
        for action in step["actions"]:
            slug = action["tenant"]
            if action["do"] == "create":
                lives[slug] = Life(scenario["rules"], action["who"], step["at"])
                continue
            try:
                ACTIONS[action["do"]](lives[slug], action)
            except Refused:
                refused.append(f"{step['at']} {slug} {action['do']}")
    notes = sum(life.notes for life in lives.values())
    json.dump({"tenants": {slug: shown(life) for slug, life in lives.items()}, "refused": refused, "creditNotes": notes}, sys.stdout)


if __name__ == "__main__":
    main()
