"""Says what can be done after a failure: each way out as a whole plan, who moves and how far, and what it still needs.

A way is the same day with one more freedom. A plan of that day is an option; `faults_of` judges it and knows no solver.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gantry.domain.scheduling import check
from gantry.domain.scheduling.failures import (
    FailureKind,
    LengthenRule,
    Situation,
    Standing,
    broken_off,
    injected,
    left_of,
    protected,
    soonest_at,
    standing,
)
from gantry.domain.scheduling.occupied import Occupied, possible
from gantry.domain.scheduling.problem import Day, Delivery, Lock, Patient, Plan, PlannedVisit, Uptake, choices, in_time


class Way(StrEnum):
    WAIT = "wait"
    ROUTINE_FIRST = "routine_first"
    LENGTHEN = "lengthen"
    OTHER_RUN = "other_run"
    OTHER_SITE = "other_site"
    OTHER_TRACER = "other_tracer"


class NeedKind(StrEnum):
    PRACTITIONER = "practitioner"
    """Must authorise: nothing may happen before."""
    PATIENT = "patient"
    """Must agree: it is an offer."""
    SUPPLIER = "supplier"
    ADVISER = "adviser"
    INCIDENT = "incident"
    """Must be opened; it holds nothing up."""


@dataclass(frozen=True, slots=True)
class Need:
    kind: NeedKind
    words: str
    patient: str = ""
    ref: str = ""
    """The delivery that a supplier must confirm."""

    @property
    def key(self) -> str:
        """By which whoever asked says that the answer was yes."""
        return self.patient if self.kind is NeedKind.PATIENT else f"{self.kind}:{self.patient or self.ref}"

    @property
    def can_be_met(self) -> bool:
        """By a word on the telephone or the adviser's conditions. An authorisation is given elsewhere, by a practitioner."""
        return self.kind in (NeedKind.PATIENT, NeedKind.SUPPLIER, NeedKind.ADVISER)

    @property
    def holds_up(self) -> bool:
        return self.kind is not NeedKind.INCIDENT


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of one person whose time, place or tracer changes. Arrivals, except for the injected: their scans."""

    patient: str
    was_min: int
    was_place: str
    now_min: int | None
    """None: another day."""
    now_place: str
    standing: Standing
    why: str = ""
    told: bool = False
    moves_before: int = 0
    abandoned: bool = False
    now_scanner: str = ""
    """Where somebody injected lies now, if it is not the scanner that they were for: whoever takes them must know it."""

    @property
    def minutes(self) -> int:
        return 0 if self.now_min is None else self.now_min - self.was_min

    @property
    def other_place(self) -> bool:
        return self.now_min is not None and self.now_place != self.was_place


@dataclass(frozen=True, slots=True)
class Option:
    way: Way
    day: Day
    plan: Plan
    title: str
    moves: tuple[Move, ...]
    clocks: tuple[tuple[str, str], ...]
    """(patient, which of their clocks suffers and how)."""
    needs: tuple[Need, ...]
    extra_mbq: float
    """Against the plan that failed, at the deliveries' reference minutes."""
    extra_pence: float
    decide_by_min: int
    """After this somebody who would be called off has set out."""
    fraction: float = 1.0
    locks_broken: tuple[str, ...] = ()
    """Whom a person had locked, and who cannot stay there: never anybody who could have."""

    @property
    def ready(self) -> bool:
        """Nothing has to be asked first. An option that voids an authorisation never is."""
        return not any(need.holds_up for need in self.needs)

    @property
    def called_off(self) -> tuple[Move, ...]:
        return tuple(move for move in self.moves if move.now_min is None)

    @property
    def abandoned(self) -> tuple[Move, ...]:
        return tuple(move for move in self.moves if move.abandoned)


# What each way allows


def ways(s: Situation) -> list[tuple[Way, float]]:
    """The ways that this situation offers at all, each with the fraction of activity that it gives."""
    found = [(Way.WAIT, 1.0), (Way.ROUTINE_FIRST, 1.0)]
    tracers = {p.tracer for p in s.day.patients}
    scarce = s.failure.kind in (
        FailureKind.BATCH_LATE,
        FailureKind.BATCH_SHORT,
        FailureKind.BATCH_LOST,
        FailureKind.SNOW,
    )
    if scarce:
        least = min((rule.least_fraction for rule in s.rules.lengthen if rule.tracer in tracers), default=1.0)
        found += [(Way.LENGTHEN, f) for f in (0.9, 0.8, 0.7) if f >= least - 1e-9]
    if any(d.ordered_mbq is None for d in left_of(s).deliveries):
        found.append((Way.OTHER_RUN, 1.0))
    if any(s.about(p.ref).elsewhere for p in s.day.patients):
        found.append((Way.OTHER_SITE, 1.0))
    if scarce and any(s.about(p.ref).other_tracers for p in s.day.patients):
        found.append((Way.OTHER_TRACER, 1.0))
    return found


def day_for(s: Situation, way: Way, fraction: float = 1.0) -> Day:
    """The day that is left, with what this way adds. The checker makes it again to see that nobody added more."""
    left = left_of(s)
    orderable = way is Way.OTHER_RUN
    deliveries = left.deliveries if orderable else tuple(as_ordered(s, d) for d in left.deliveries)
    patients = []
    carried: list[Delivery] = []
    for patient in left.patients:
        visit = s.plan.visit(patient.ref)
        if injected(s, patient):
            if visit is not None and standing(s, patient) is Standing.INJECTED:
                patient, more = transferable(s, patient, visit)
                carried += more
            patients.append(patient)
            continue
        home = s.day.scanner(visit.scanner).place if visit else None
        allowed = {home: patient.away_pence.get(home, 0)} if home else dict(patient.away_pence)
        if way is Way.OTHER_SITE:
            allowed |= s.about(patient.ref).elsewhere
            reach = {place: soonest_at(s, s.day.patient(patient.ref), place) for place in allowed if place != home}
            patient = replace(patient, reach_min=reach)
        patient = replace(patient, away_pence=allowed)
        if way is Way.LENGTHEN:
            patient = lengthened(s, patient, fraction)
        if way is Way.OTHER_TRACER:
            patient = with_other_tracer(s, left, patient, visit)
        if way is Way.ROUTINE_FIRST and visit is not None and home is not None:
            # Whoever can keep their time keeps it; the rest go to another day.
            patient = replace(
                patient,
                uptake=Uptake(visit.uptake_min, visit.uptake_min, visit.uptake_min),
                lock=Lock(home, visit.scanner, visit.injection_min, visit.delivery),
            )
        elif patient.lock is not None and not any(possible(replace(left, deliveries=deliveries), patient)):
            # What a person had decided is no longer to be had: they are placed as well as anybody.
            patient = replace(patient, lock=None)
        patients.append(patient)
    return replace(left, deliveries=(*deliveries, *carried), patients=tuple(patients))


def as_ordered(s: Situation, delivery: Delivery) -> Delivery:
    """What can still be ordered more of, as it is ordered now."""
    if delivery.ordered_mbq is not None:
        return delivery
    return replace(delivery, ordered_mbq=s.plan.orders.get(delivery.ref, 0.0))


def transferable(s: Situation, patient: Patient, visit: PlannedVisit) -> tuple[Patient, list[Delivery]]:
    """Under the adviser's rule an injected person may be taken to another place: their dose goes with them."""
    rule, scanner = s.rules.transfer, s.day.scanner(visit.scanner)
    if rule is None or patient.lock is None or not scanner_lost(s, visit):
        return patient, []
    source, carried = s.day.delivery(visit.delivery), []
    allowed = {scanner.place: 0}
    for (start, end), minutes in rule.minutes.items():
        if start != scanner.place or s.known_min + minutes - visit.injection_min > patient.uptake.most_min:
            continue
        allowed[end] = 0
        if any(each.ref == carried_ref(patient.ref, end) for each in s.day.deliveries):
            # They were there before: what is in them is in the account of that place already.
            continue
        carried.append(
            replace(
                source,
                ref=carried_ref(patient.ref, end),
                place=end,
                arrives_min=visit.injection_min,
                expires_min=visit.injection_min + 1,
                ordered_mbq=s.day.drawn_mbq(patient, visit.injection_min, source),
            )
        )
    if not carried:
        return patient, []
    lock = Lock(None, None, visit.injection_min, None)
    return replace(patient, lock=lock, away_pence=allowed), carried


def carried_ref(patient: str, place: str) -> str:
    return f"in {patient} to {place}"


def scanner_lost(s: Situation, visit: PlannedVisit) -> bool:
    return any(f.kind is FailureKind.SCANNER_DOWN and f.subject == visit.scanner for f in s.failures)


def lengthened(s: Situation, patient: Patient, fraction: float) -> Patient:
    """Less activity and a longer scan, only inside a rule that a practitioner approved."""
    if lengthening_rule(s, patient, fraction) is None:
        return patient
    longer = -(-patient.scan_min / fraction // 1)
    return replace(patient, activity_mbq=patient.activity_mbq * fraction, scan_min=int(longer))


def lengthening_rule(s: Situation, patient: Patient, fraction: float) -> LengthenRule | None:
    """The approval under which this person may be given that fraction where they are booked."""
    for rule in s.rules.lengthen:
        if rule.tracer != patient.tracer or fraction * s.about(patient.ref).fraction < rule.least_fraction - 1e-9:
            continue
        if s.about(patient.ref).child and not rule.children:
            continue
        if rule.patients is None or patient.ref in rule.patients:
            return rule
    return None


def with_other_tracer(s: Situation, left: Day, patient: Patient, visit: PlannedVisit | None) -> Patient:
    """For those whose own tracer is gone: the first that the indication allows and that somebody delivers."""
    if visit is None or Occupied(left).fits(patient, visit):
        return patient
    coming = {d.tracer for d in left.deliveries if d.ordered_mbq is None or d.ordered_mbq > 0}
    for other in s.about(patient.ref).other_tracers:
        if other.code in coming:
            return replace(
                patient,
                tracer=other.code,
                activity_mbq=other.activity_mbq,
                uptake=other.uptake,
                scan_min=other.scan_min,
                lock=None,
            )
    return patient


# What a plan of that day means for people


def option(s: Situation, way: Way, plan: Plan, fraction: float = 1.0) -> Option:
    """The plan in terms of who moves, what suffers and what is still needed."""
    day = day_for(s, way, fraction)
    moves = tuple(moves_of(s, day, plan))
    held = (
        s.day if way is Way.OTHER_RUN else replace(s.day, deliveries=tuple(as_ordered(s, d) for d in s.day.deliveries))
    )
    before = check.activity_pence(held, s.plan) + drawn_pence(held, s.plan)
    after = check.activity_pence(day, plan) + drawn_pence(day, plan)
    return Option(
        way=way,
        day=day,
        plan=plan,
        title=title_of(s, way, fraction, moves, plan),
        moves=moves,
        clocks=tuple(clocks_of(s, moves, plan)),
        needs=tuple(needs_of(s, way, day, plan, moves)),
        extra_mbq=round(used_mbq(day, plan) - used_mbq(s.day, s.plan), 1),
        extra_pence=round(after - before),
        decide_by_min=decide_by(s, moves, ordered_more(s, way, plan)),
        fraction=fraction,
        locks_broken=tuple(locks_broken(s, day, plan)),
    )


def locks_broken(s: Situation, day: Day, plan: Plan) -> Iterator[str]:
    for was in s.day.patients:
        lock, visit = was.lock, plan.visit(was.ref)
        if lock is None or injected(s, was) or s.plan.visit(was.ref) is None:
            continue
        if visit is None:
            yield was.ref
            continue
        now = (day.scanner(visit.scanner).place, visit.scanner, visit.injection_min, visit.delivery)
        wanted = (lock.place, lock.scanner, lock.injection_min, lock.delivery)
        if any(w is not None and w != n for w, n in zip(wanted, now, strict=True)):
            yield was.ref


def used_mbq(day: Day, plan: Plan) -> float:
    return sum(check.drawn(day, plan, delivery) for delivery in day.deliveries if not delivery.ref.startswith("in "))


def drawn_pence(day: Day, plan: Plan) -> float:
    """What is drawn from orders already placed, at their price a GBq: nobody else can have it."""
    return sum(
        check.drawn(day, plan, d) / 1000 * d.price_pence_per_gbq
        for d in day.deliveries
        if d.ordered_mbq is not None and not d.ref.startswith("in ")
    )


def moves_of(s: Situation, day: Day, plan: Plan) -> Iterator[Move]:
    """Everybody whose time, place or day differs from the plan that failed."""
    patients = {p.ref: p for p in day.patients}
    for was in s.day.patients:
        before, after, patient = s.plan.visit(was.ref), plan.visit(was.ref), patients[was.ref]
        if before is None and after is None:
            continue
        where = standing(s, was)
        if where is Standing.SCANNED:
            continue  # Nothing is still to come for them, whatever fails now.
        told = was.told
        hot = where in (Standing.INJECTED, Standing.SCANNING, Standing.SCANNED)
        old_place = told.place if told and not hot else s.day.scanner(before.scanner).place if before else ""
        old = before.scan_min if hot and before else told.arrival_min if told else arrival(was, before) if before else 0
        before_told = told.moves_before if told else 0
        if after is None:
            why = plan.left_out.get(was.ref, "")
            yield Move(was.ref, old, old_place, None, "", where, why, told is not None, before_told, abandoned=hot)
            continue
        new = after.scan_min if hot else arrival(patient, after)
        place = day.scanner(after.scanner).place
        other_scanner = hot and before is not None and after.scanner != before.scanner
        if new != old or place != old_place or other_scanner:
            sister = after.scanner if other_scanner else ""
            yield Move(
                was.ref, old, old_place, new, place, where, "", told is not None, before_told, now_scanner=sister
            )


def arrival(patient: Patient, visit: PlannedVisit) -> int:
    return visit.injection_min - patient.preparation_min


def clocks_of(s: Situation, moves: Iterable[Move], plan: Plan) -> Iterator[tuple[str, str]]:
    for move in moves:
        facts, patient, visit = s.about(move.patient), s.day.patient(move.patient), plan.visit(move.patient)
        name = facts.clock or "the clinical limit"
        if visit is None and facts.other_day is None:
            yield move.patient, f"{name}: no other time has been found yet"
        elif visit is None and facts.other_day is not None and not facts.other_day.within_limit:
            limit = facts.other_day.limit or name
            yield move.patient, f"{limit} is broken: the first other time is {facts.other_day.said}"
        elif visit is not None and not in_time(patient, visit):
            yield move.patient, f"{name} passes before the scan"


def needs_of(s: Situation, way: Way, day: Day, plan: Plan, moves: Iterable[Move]) -> Iterator[Need]:
    """Everything that somebody must say yes to, and every incident there is to open."""
    for move in moves:
        facts, visit = s.about(move.patient), plan.visit(move.patient)
        if move.abandoned:
            yield Need(NeedKind.INCIDENT, "was injected and is not scanned: open an incident", move.patient)
            yield Need(NeedKind.INCIDENT, reinjection_words(s, move.patient), move.patient)
        elif move.standing is Standing.INJECTED and move.other_place and s.rules.transfer is not None:
            yield Need(NeedKind.ADVISER, f"transfer under the rule of {s.rules.transfer.approved_by}", move.patient)
        elif move.other_place:
            yield Need(NeedKind.PATIENT, "must agree to the other site: offer transport", move.patient)
        if visit is not None and why_not_authorised(facts.authorised_places, move.now_place):
            yield Need(NeedKind.PRACTITIONER, "must be authorised for this site by a practitioner", move.patient)
    for patient in day.patients:
        was, visit = s.day.patient(patient.ref), plan.visit(patient.ref)
        if visit is None or patient.tracer == was.tracer:
            continue
        if not any(o.code == patient.tracer and o.authorised for o in s.about(patient.ref).other_tracers):
            yield Need(NeedKind.PRACTITIONER, f"must be authorised for {patient.tracer} by a practitioner", patient.ref)
    for ref, mbq in sorted(ordered_more(s, way, plan).items()):
        yield Need(NeedKind.SUPPLIER, f"must confirm {mbq:,.0f} MBq on {ref}", ref=ref)


def ordered_more(s: Situation, way: Way, plan: Plan) -> dict[str, float]:
    """By delivery, what this plan asks of suppliers beyond what is ordered, at the reference minute."""
    if way is not Way.OTHER_RUN:
        return {}
    more = {ref: mbq - s.plan.orders.get(ref, 0.0) for ref, mbq in plan.orders.items()}
    return {ref: mbq for ref, mbq in more.items() if mbq > 1e-6}


def why_not_authorised(places: frozenset[str] | None, place: str) -> bool:
    return bool(place) and places is not None and place not in places


def reinjection_words(s: Situation, ref: str) -> str:
    facts, planned = s.about(ref), s.day.patient(ref).activity_mbq
    given = planned if facts.given_mbq is None else facts.given_mbq
    in_all = given + (planned if facts.prescribed_mbq is None else facts.prescribed_mbq)
    said = f"{given:,.0f} MBq was given, {in_all:,.0f} MBq in all if repeated"
    return f"a new injection needs its own authorisation: {said}"


def decide_by(s: Situation, moves: Iterable[Move], ordered: Iterable[str] = ()) -> int:
    """The first minute at which somebody still at home who is called off or sent elsewhere sets out, or an order closes."""
    leaves = [
        move.was_min - s.about(move.patient).journey_min
        for move in moves
        if move.standing is Standing.AT_HOME and (move.now_min is None or move.other_place or move.minutes > 0)
    ]
    leaves += [s.cut_offs[ref] for ref in ordered if ref in s.cut_offs]
    return max(s.known_min, min(leaves, default=s.known_min + 60))


def title_of(s: Situation, way: Way, fraction: float, moves: Sequence[Move], plan: Plan) -> str:
    """What the option does, by its own plan: nobody is said to wait for what nobody in it has."""
    if way is Way.WAIT:
        return waiting_title(s, moves, plan)
    return {
        Way.ROUTINE_FIRST: "Keep everybody's time who can keep it; the others go to another day",
        Way.LENGTHEN: f"Give {fraction:.0%} of the activity and scan for longer",
        Way.OTHER_RUN: "Order from another run",
        Way.OTHER_SITE: "Offer some patients another site, with transport",
        Way.OTHER_TRACER: "Use another tracer where the indication allows it",
    }[way]


def waiting_title(s: Situation, moves: Sequence[Move], plan: Plan) -> str:
    placed = [move for move in moves if move.now_min is not None]
    if moves and not placed:
        return "Nobody who is hit is scanned today: they go to another day"
    if s.failure.kind is FailureKind.SCANNER_DOWN:
        return scanner_title(s, plan)
    other = any(before.delivery != after.delivery for before, after in both(s, plan))
    if not placed and not other:
        return "Everybody keeps their time"
    if s.failure.kind is FailureKind.BATCH_SHORT:
        return "Share out what there is" + (", then wait for the next run" if other else "")
    if s.failure.kind is FailureKind.BATCH_LOST and not other:
        return "Move the others; nobody waits for another run"
    return {
        FailureKind.BATCH_LATE: "Wait for the late batch",
        FailureKind.BATCH_LOST: "Wait for the next run",
        FailureKind.ANAESTHETIST_ABSENT: "Wait until an anaesthetist is there",
        FailureKind.PATIENT_LATE: "Scan the patient when they come",
        FailureKind.HYPERGLYCAEMIA: "Test the glucose again and scan later",
        FailureKind.SNOW: "Start when people and tracer can come",
    }[s.failure.kind]


def both(s: Situation, plan: Plan) -> Iterator[tuple[PlannedVisit, PlannedVisit]]:
    for before in s.plan.visits:
        after = plan.visit(before.patient)
        if after is not None:
            yield before, after


def scanner_title(s: Situation, plan: Plan) -> str:
    """By where those who were for the broken scanner lie now."""
    hers = [(b, a) for b, a in both(s, plan) if b.scanner == s.failure.subject]
    other = any(after.scanner != s.failure.subject for _, after in hers)
    back = any(after.scanner == s.failure.subject and after.scan_min >= s.known_min and after != b for b, after in hers)
    if other and back:
        return "Use the other scanner, and this one when it is back"
    if other:
        return "Use the other scanner"
    return "Use this scanner when it is back" if back else "Everybody keeps their time"


def given_less(s: Situation, o: Option) -> tuple[str, ...]:
    """Who is scanned for longer with less in them, under a practitioner's rule."""
    was = {p.ref: p.activity_mbq for p in s.day.patients}
    now = {p.ref: p.activity_mbq for p in o.day.patients}
    if o.way is not Way.LENGTHEN:
        return ()
    return tuple(v.patient for v in o.plan.visits if now[v.patient] < was[v.patient] - 1e-9)


# Which is better


def burden(s: Situation, patient: Patient) -> tuple[int, int, int]:
    """How much another move would ask of this person: protected, moved before, on the way or here."""
    on_the_way = standing(s, patient) in (Standing.TRAVELLING, Standing.HERE)
    return bool(protected(s, patient)), patient.told.moves_before if patient.told else 0, on_the_way


def harm(s: Situation, o: Option) -> tuple[float, ...]:
    """The gravest first: injected and not scanned, locks and limits broken, called off, burden, needs, cost, minutes."""
    weights = {p.ref: p.weight for p in s.day.patients}
    broken = {ref for ref, _ in o.clocks}
    burdens = [burden(s, s.day.patient(m.patient)) for m in o.moves if not injected(s, s.day.patient(m.patient))]
    return (
        len(o.abandoned),
        len(o.locks_broken),
        sum(weights[ref] for ref in broken),
        sum(weights[m.patient] for m in o.called_off),
        sum(100 * p + 3 * before + here + 1 for p, before, here in burdens),
        sum(need.holds_up for need in o.needs),
        max(0.0, o.extra_pence),
        sum(abs(m.minutes) for m in o.moves),
    )


def ranked(s: Situation, options: Iterable[Option], most: int = 3) -> list[Option]:
    """The best first, one of each way, none that comes to the same plan as a better one."""
    found: list[Option] = []
    used = [o for o in options if uses_its_way(s, o)]
    keeping = [set(o.locks_broken) for o in used if o.ready and not o.abandoned]
    for each in sorted(used, key=lambda o: (harm(s, o), list(Way).index(o.way), -o.fraction)):
        if any(kept < set(each.locks_broken) for kept in keeping):
            continue  # Somebody whom a person had locked can be kept, and nobody has to be asked for it.
        same = any(outcome(each) == outcome(o) for o in found)
        if not same and each.way not in {o.way for o in found}:
            found.append(each)
    return found[:most]


def uses_its_way(s: Situation, o: Option) -> bool:
    """Whether the plan uses what its way adds; if not, it is only a poorer way to wait."""
    tracers = {p.ref: (p.tracer, p.activity_mbq) for p in s.day.patients}
    changed = any(tracers[v.patient] != (o.day.patient(v.patient).tracer, o.day.patient(v.patient).activity_mbq)
                  for v in o.plan.visits)  # fmt: skip
    return {
        Way.OTHER_SITE: any(move.other_place and move.standing is not Standing.INJECTED for move in o.moves),
        Way.OTHER_RUN: bool(ordered_more(s, o.way, o.plan)),
        Way.LENGTHEN: changed,
        Way.OTHER_TRACER: changed,
    }.get(o.way, True)


def outcome(o: Option) -> frozenset[tuple[str, int | None, str, str]]:
    """Who is where when, as people will find it: two ways that come to the same are one option."""
    return frozenset((m.patient, m.now_min, m.now_place, m.now_scanner) for m in o.moves)


# The judge


def faults_of(s: Situation, o: Option) -> list[str]:
    """Everything that is wrong with an option; empty means that a person may be shown it."""
    found = []
    if o.day != day_for(s, o.way, o.fraction):
        found.append("the option's day is not the day that is left")
    found += check.faults(o.day, o.plan)
    if found:
        return found
    return [*not_first(s, o), *wrongly_moved(s, o), *unsaid(s, o)]


def not_first(s: Situation, o: Option) -> Iterator[str]:
    """Nobody who is injected goes without a scan that somebody who is not injected has in their window."""
    for move in o.abandoned:
        patient = o.day.patient(move.patient)
        cold = Occupied(o.day, Plan(tuple(v for v in o.plan.visits if injected(s, s.day.patient(v.patient)))))
        if any(cold.fits(patient, visit) for visit in possible(o.day, patient)):
            yield f"{move.patient} is injected and could be scanned inside the window"


def wrongly_moved(s: Situation, o: Option) -> Iterator[str]:
    """Nobody is moved for nothing, nor twice, nor from protection or the car park, while another can be."""
    moved = {m.patient: m for m in o.moves}
    occupied = Occupied(o.day, o.plan)
    for move in o.moves:
        ref = move.patient
        patient, old, now = o.day.patient(ref), s.plan.visit(ref), o.plan.visit(ref)
        if old is None or injected(s, s.day.patient(ref)) or patient.told is None:
            continue
        if now is not None:
            occupied.remove(now)
        if occupied.fits(patient, old):
            yield f"{ref} is moved for nothing: the time they were told still stands"
        elif worse := spared_instead(s, o, occupied, patient, old, now, moved.keys()):
            yield f"{ref} is moved while {worse} can be: {' and '.join(rules_for(s, patient, o.day.patient(worse)))}"
        if now is not None:
            occupied.add(now)


def spared_instead(
    s: Situation,
    o: Option,
    occupied: Occupied,
    patient: Patient,
    old: PlannedVisit,
    now: PlannedVisit | None,
    moved: Iterable[str],
) -> str | None:
    """Somebody unmoved and less burdened, of no more weight, who could bear it instead. `occupied` is without `patient`."""
    unmoved = [v for v in o.plan.visits if v.patient not in set(moved)]
    for visit in unmoved:
        other = o.day.patient(visit.patient)
        if other.weight > patient.weight or other.told is None or injected(s, s.day.patient(other.ref)):
            continue
        if s.day.patient(other.ref).lock is not None or not rules_for(s, patient, other):
            continue
        occupied.remove(visit)
        instead = False
        if occupied.fits(patient, old):
            occupied.add(old)
            instead = now is None or any(occupied.fits(other, each) for each in choices(o.day, other))
            occupied.remove(old)
        occupied.add(visit)
        if instead:
            return other.ref
    return None


def rules_for(s: Situation, patient: Patient, other: Patient) -> list[str]:
    """Why `other` rather than `patient`; none means that it is all the same."""
    mine, theirs = burden(s, s.day.patient(patient.ref)), burden(s, s.day.patient(other.ref))
    if theirs >= mine:
        return []
    said = [f"{patient.ref} {protected(s, s.day.patient(patient.ref))}"] if mine[0] > theirs[0] else []
    said += [f"{patient.ref} was moved before"] if mine[1] > theirs[1] else []
    said += [f"{patient.ref} has set out"] if mine[2] > theirs[2] and not said else []
    return said


def unsaid(s: Situation, o: Option) -> Iterator[str]:
    """Everybody not scanned has a reason; every authorisation that is missing is in the needs."""
    needed = {(n.kind, n.patient) for n in o.needs}
    for ref, why in o.plan.left_out.items():
        if not why:
            yield f"{ref} is left out without a reason"
    for visit in o.plan.visits:
        facts, place = s.about(visit.patient), o.day.scanner(visit.scanner).place
        patient, was = o.day.patient(visit.patient), s.day.patient(visit.patient)
        other = patient.tracer != was.tracer and not any(
            t.code == patient.tracer and t.authorised for t in facts.other_tracers
        )
        new_place = any(m.patient == visit.patient for m in o.moves) and why_not_authorised(
            facts.authorised_places, place
        )
        if (other or new_place) and (NeedKind.PRACTITIONER, visit.patient) not in needed:
            yield f"{visit.patient} has no authorisation for it and nobody is asked"
    for move in o.abandoned:
        if (NeedKind.INCIDENT, move.patient) not in needed:
            yield f"{move.patient} was injected and not scanned, and no incident is asked for"


def reason_left_out(s: Situation, patient: Patient, *, could_have: bool) -> str:
    """Why somebody has no place in a plan of the day that is left. `could_have`: alone on that day, they would have one."""
    if injected(s, s.day.patient(patient.ref)):
        visit = s.plan.visit(patient.ref)
        broken = visit is not None and broken_off(s, s.day.patient(patient.ref), visit)
        return f"injected; {'the scan was broken off and ' if broken else ''}no scanner is free in the window"
    return "others need what is left more" if could_have else "nothing is left today that this patient could have"
