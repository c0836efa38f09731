"""When nothing is under way in a conversation."""

from greenroom.testing.settling import Activity


def test_a_request_is_under_way_until_its_answer_has_come_to_its_end():
    activity = Activity()
    assert activity.idle
    activity.asked()
    assert not activity.idle
    activity.answered()
    assert activity.idle


def test_a_sentence_is_under_way_until_it_has_been_said():
    activity = Activity()
    activity.voiced()
    assert not activity.idle
    activity.spoken += 1
    assert activity.idle


def test_the_late_end_of_an_interrupted_answer_counts_for_no_later_request():
    activity = Activity()
    activity.asked()
    activity.interrupted()
    activity.answered()
    activity.asked()
    assert not activity.idle


def test_an_interruption_drops_what_was_not_said():
    activity = Activity()
    activity.asked()
    activity.voiced()
    activity.interrupted()
    assert activity.idle
