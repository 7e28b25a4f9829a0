#!/usr/bin/env python3
"""The figures of src/experiment/statistics.rs, computed by SciPy: prints tests/data/statistics.json.

    python3 -m venv venv && venv/bin/pip install scipy
    venv/bin/python tests/data/statistics.py > tests/data/statistics.json

tests/statistics.rs holds the program to that file; the test itself needs neither Python nor SciPy.
"""

import json
import random
from decimal import Decimal
from math import hypot, sqrt

from scipy import optimize, stats

CONFIDENCE, POWER = 0.95, 0.80


def rates(treatment, control):
    """Newcombe's hybrid score interval, from Wilson intervals as SciPy has them."""
    (x1, n1), (x2, n2) = treatment, control
    p1, p2 = x1 / n1, x2 / n2
    w1, w2 = (stats.binomtest(x, n).proportion_ci(CONFIDENCE, method="wilson") for x, n in (treatment, control))
    return {
        "difference": p1 - p2,
        "low": p1 - p2 - hypot(p1 - w1.low, w2.high - p2),
        "high": p1 - p2 + hypot(w1.high - p1, p2 - w2.low),
        "detectable": detectable_rise(p2, n1, n2),
    }


def detectable_rise(base, n1, n2):
    z_a, z_b = stats.norm.ppf(0.5 + CONFIDENCE / 2), stats.norm.ppf(POWER)

    def missing(rise):
        raised = base + rise
        pooled = (raised * n1 + base * n2) / (n1 + n2)
        without = sqrt(max(pooled * (1 - pooled) * (1 / n1 + 1 / n2), 0))
        return rise - z_a * without - z_b * sqrt(max(raised * (1 - raised) / n1 + base * (1 - base) / n2, 0))

    most = 1 - base
    if most <= 0 or missing(most) < 0:
        return None
    return optimize.brentq(missing, 1e-12, most, xtol=1e-15)


def means(a, b):
    """Welch's interval by SciPy's own t test over the values themselves."""
    a, b = ([float(value) for value in values] for values in (a, b))
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(CONFIDENCE)
    v1, v2 = stats.tvar(a) / len(a), stats.tvar(b) / len(b)
    freedom = (v1 + v2) ** 2 / (v1**2 / (len(a) - 1) + v2**2 / (len(b) - 1))
    student = stats.t(freedom)
    return {
        "difference": stats.tmean(a) - stats.tmean(b),
        "low": interval.low,
        "high": interval.high,
        "detectable": (student.ppf(0.5 + CONFIDENCE / 2) + student.ppf(POWER)) * sqrt(v1 + v2),
    }


def dealt(treatment, control, holdout):
    everybody = treatment + control
    if min(holdout, 1 - holdout) * everybody < 5:
        return None
    test = stats.chisquare([treatment, control], [everybody * (1 - holdout), everybody * holdout])
    return {"chi_square": test.statistic, "p": test.pvalue}


def spending(dice, customers, converted, cents):
    """Most buy nothing; a few buy for a lot."""
    bought = [Decimal(int(dice.lognormvariate(0, 0.9) * cents)) / 100 for _ in range(converted)]
    return bought + [Decimal(0)] * (customers - converted)


def arm(values, converted):
    return {
        "exposed": len(values),
        "converted": converted,
        "value": str(sum(values)),
        "squares": str(sum(value * value for value in values)),
    }


def case(name, holdout, treatment, control, cents=(4000, 4000)):
    dice = random.Random(name)
    values = [spending(dice, n, x, c) for (x, n), c in zip((treatment, control), cents)]
    return {
        "name": name,
        "holdout": f"{holdout:g}%",
        "treatment": arm(values[0], treatment[0]),
        "control": arm(values[1], control[0]),
        "conversion": rates(treatment, control),
        "value_per_exposed": means(*values),
        "sample_ratio": dealt(treatment[1], control[1], holdout / 100),
    }


CASES = [
    # Newcombe 1998, Table II, contrast (a): 56/70 and 48/80, method 10: 0.0524 to 0.3339.
    case("the example of the paper", 50, (56, 70), (48, 80)),
    case("visits taken for customers", 50, (55, 168), (66, 233)),
    case("a thousand in each arm", 50, (330, 1000), (280, 1000)),
    case("a small holdout", 5, (5_200, 95_000), (240, 5_000), (4100, 4000)),
    case("hardly anybody converts", 50, (3, 5_000), (1, 5_000)),
    case("nobody in control converts", 50, (4, 40), (0, 40)),
    case("nearly everybody converts", 20, (79, 80), (19, 20)),
    case("a handful", 50, (2, 3), (1, 4)),
    case("a million", 10, (90_500, 900_000), (10_000, 100_000)),
    case("dealt by another hand", 50, (300, 1_150), (210, 850)),
]

print(json.dumps(CASES, indent=1))
