//! What a page says after something was done: by a code in its address, so that no address can put words into a page.

const SAID: [(&str, &str); 29] = [
    ("started", "The execution has started."),
    (
        "existing",
        "That key was used before: this is the execution that it started then.",
    ),
    (
        "sent-again",
        "This form was sent before: this is the execution that it started then.",
    ),
    ("cancelled", "The execution has been asked to stop."),
    ("paused", "It stands still now."),
    ("unpaused", "It goes on."),
    ("resumed", "The execution has been taken up again."),
    (
        "retried",
        "This is the new execution. What was done before has been taken over.",
    ),
    ("rerun", "This is the new execution."),
    ("signalled", "The signal has been recorded."),
    ("signal-known", "That signal was recorded before."),
    ("approved", "The approval has been recorded."),
    ("rejected", "The rejection has been recorded."),
    ("delivered", "The answer has been delivered."),
    ("kept", "Nobody waits for it yet; it is kept."),
    ("late", "The execution no longer waits for it. Nothing was changed."),
    ("duplicate", "It was answered before. Nothing was changed."),
    ("dropped", "The unmatched callback has been dropped."),
    ("ran", "It has started an execution."),
    ("not-ran", "It has not started an execution; the ledger says why."),
    ("deleted", "It has been deleted."),
    ("over", "It had ended already. Nothing was changed."),
    (
        "backfilled",
        "The times of that range have been started; the ledger shows each.",
    ),
    ("deployed", "It is deployed. What starts from now on runs this version."),
    (
        "removed",
        "It is out of use: nothing starts it any more. Deploying it again brings it back.",
    ),
    ("made", "The schedule has been made."),
    ("changed", "The schedule has been changed."),
    ("gone", "The schedule and its ledger are gone."),
    ("replayed", "The delivery has been taken up again."),
];

/// The words of a code.
pub(super) fn text(code: &str) -> Option<&'static str> {
    SAID.iter().find(|(own, _)| *own == code).map(|(_, text)| *text)
}
