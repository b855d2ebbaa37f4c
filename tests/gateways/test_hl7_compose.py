"""An order that we write ourselves is read back to the same answers."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.referral import ITEM, Severity, findings, typed
from gantry.gateways.hl7.answers import to_answers
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.message import read
from gantry.gateways.hl7.orders import OrderAct, read_orders
from gantry.gateways.hl7.results import Party
from tests.domain.answers import CONTEXT, ON, complete
from tests.gateways.hl7_samples import LONDON, NOW

WHOLE = {name: value for name, value in complete().items() if not ITEM[name].filled_here}
ORDER = OutgoingOrder("C-9", "P-9", Party("HIS", "RBV"), Party("GANTRY", "NT9"), NOW, WHOLE)


def read_back(order: OutgoingOrder):
    (found,) = read_orders(read(to_omi(order)), LONDON)
    return found


def test_the_whole_data_set_comes_back():
    found = read_back(ORDER)
    assert found.findings == ()
    assert (found.act, found.placer_order_number, found.message_control_id) == (OrderAct.NEW, "P-9", "C-9")
    answers, unread = typed(to_answers(found), CONTEXT)
    assert unread == []
    assert {name: answers[name] for name in WHOLE} == WHOLE
    assert {finding.severity for finding in findings(answers, on=ON, context=CONTEXT)} <= {Severity.WARN}


def test_rows_come_back():
    treated = ({"treatment_type": "chemo", "agent": "R-CHOP & more | ^x~", "last_date": ON, "cycle_number": 4},)
    found = read_back(replace(ORDER, answers=complete(treatment_history=treated)))
    answers, unread = typed(to_answers(found), CONTEXT)
    assert (unread, answers["treatment_history"]) == ([], treated)


def test_a_cancellation():
    assert read_back(replace(ORDER, control="CA")).act is OrderAct.CANCEL


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=80))
def test_any_question_comes_back(question):
    found = read_back(replace(ORDER, answers=complete(clinical_question=question)))
    assert to_answers(found)["clinical_question"] == question
