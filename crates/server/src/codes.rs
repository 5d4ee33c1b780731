//! The codes of problems with their meaning, for the page of the API. A test holds the list to the sources.

/// Every code and what it means.
pub(crate) const CODES: &[(&str, &str)] = &[
    (
        "access.conflict",
        "It is there already, or somebody else has changed it at the same time.",
    ),
    (
        "access.elsewhere",
        "The form is of a page of another organization than the one that the browser is in now.",
    ),
    (
        "access.forbidden",
        "It is known who asks, and that one may not do this: the role or a scope is missing.",
    ),
    (
        "access.foreign",
        "A browser sent the request from a page of another origin.",
    ),
    ("access.form", "A form is of another session. Open its page again."),
    ("access.invalid", "A key or an organization cannot be made like this."),
    ("access.not-found", "There is no such key or organization here."),
    ("access.role", "The caller's role is not enough for this."),
    (
        "access.unavailable",
        "Who may do this cannot be found out now. Try again in a moment.",
    ),
    ("answer.too-large", "The answer is larger than an execution takes."),
    ("approval.form", "The answer does not fit the form of the approval."),
    ("approval.none", "No approval is asked for there (any more)."),
    (
        "approval.several",
        "The execution asks for several approvals; name one by its path.",
    ),
    ("asset.not-found", "The inspector has no such file."),
    (
        "blob.failed",
        "Large content could not be stored now. Try again in a moment.",
    ),
    ("callback.bad-token", "No callback has this token."),
    ("callback.late", "The execution no longer waits for this."),
    (
        "callback.no-code",
        "The failure that is reported has no code: an object needs `code`, or `error` as a text.",
    ),
    (
        "callback.not-awaited",
        "Nobody waits for this, and signs of life are not kept.",
    ),
    ("callback.not-kept", "No answer is kept under this number."),
    (
        "callback.too-many-kept",
        "So many answers that nobody waits for are kept that this one is not. Send it again later.",
    ),
    ("connection.not-found", "The workflow has no connection of this name."),
    ("connection.untestable", "Connections of this type cannot be tested."),
    ("credentials.expired", "The API key has expired."),
    (
        "credentials.malformed",
        "The `Authorization` header is not `Bearer` with an API key or a token.",
    ),
    ("credentials.missing", "No credentials were sent."),
    ("credentials.revoked", "The API key was revoked."),
    (
        "credentials.rotated",
        "The API key was rotated, and this text of it is not accepted any more. Use the text that the rotation gave.",
    ),
    ("credentials.session-ended", "The session has ended. Log in again."),
    ("credentials.token", "The token is not accepted; `detail` says why."),
    ("credentials.unknown", "There is no such API key."),
    (
        "definition.refused",
        "The definition that the execution runs cannot be used by this program.",
    ),
    ("delivery.no-body", "The body of the delivery is not kept any more."),
    ("delivery.not-found", "There is no such delivery here."),
    (
        "delivery.refused",
        "The delivery is refused again: its signature or body does not fit the endpoint as it is now.",
    ),
    (
        "deploy.expects",
        "A condition (`If-Match`) is for one workflow at a time.",
    ),
    (
        "deploy.files",
        "The files cannot be deployed as they are: none, too many, or two of one name.",
    ),
    (
        "deploy.folder",
        "The workflow belongs to the folder of workflows and is changed there.",
    ),
    (
        "endpoint.not-configured",
        "The endpoint misses a secret or another setting, so it takes nothing.",
    ),
    ("endpoint.not-found", "There is no such endpoint here."),
    ("entry.changed", "Somebody else has changed it meanwhile."),
    ("entry.exists", "It is there already."),
    ("event.unwritable", "The event cannot be written."),
    (
        "events.too-many",
        "There are as many streams of events as there may be.",
    ),
    ("execution.bad-id", "An execution cannot have this id."),
    ("execution.ended", "The execution has ended."),
    ("execution.exists", "There is an execution with this id."),
    ("execution.failed", "The execution that was waited for failed."),
    ("execution.not-found", "There is no such execution here."),
    (
        "execution.not-resumable",
        "The execution cannot be taken up or done again like this.",
    ),
    ("execution.running", "The execution is being worked on."),
    (
        "execution.stuck",
        "The journal of the execution does not fit its definition.",
    ),
    (
        "execution.unfinished",
        "The execution has not ended, or somebody still waits for it.",
    ),
    (
        "host.busy",
        "As many executions are under way as may be. Try again in a moment; nothing was started.",
    ),
    ("host.stopping", "The server is stopping. Try again in a moment."),
    ("inbox.cursor", "The cursor is not one that a page of this list gave."),
    (
        "input.invalid",
        "The input does not fit the workflow; `problems` has every field that is wrong.",
    ),
    (
        "internal",
        "A fault of the server. Its log has more, under the number in the answer.",
    ),
    (
        "method.not-allowed",
        "The path takes other methods; the header `Allow` names them.",
    ),
    ("path.not-found", "Nothing is at this path."),
    (
        "query.busy",
        "Too many queries are being answered. Try again in a moment.",
    ),
    ("query.invalid", "The expression of the query is wrong."),
    (
        "rate.address",
        "The address has sent too many requests. `Retry-After` says when to go on.",
    ),
    (
        "rate.caller",
        "The caller has sent too many requests. `Retry-After` says when to go on.",
    ),
    (
        "rate.failures",
        "Too many wrong credentials have come from the address.",
    ),
    ("request.form", "The form cannot be read."),
    (
        "request.invalid",
        "The path, the query, a header or the body cannot be read.",
    ),
    (
        "request.media-type",
        "The body is of another type than the one that is taken.",
    ),
    (
        "request.method",
        "The path takes other methods; the header `Allow` names them.",
    ),
    (
        "request.no-room",
        "Too many large bodies of webhooks and callbacks are on their way. Send it again in a few seconds.",
    ),
    ("request.too-large", "The body is larger than the server takes."),
    (
        "request.too-slow",
        "The body came too slowly, and the request was given up.",
    ),
    (
        "schedule.changed",
        "Somebody else has changed the schedule at the same time. Try again.",
    ),
    (
        "schedule.invalid",
        "The schedule cannot be used; `problems` has everything that is wrong.",
    ),
    (
        "schedule.too-much",
        "So much is excluded that a preview of so many due times takes too long.",
    ),
    (
        "schedule.is-trigger",
        "The schedule is a trigger of a workflow: change it there, and deploy that.",
    ),
    ("schedule.not-found", "There is no such schedule."),
    ("schedule.refused", "The schedule cannot do that; `detail` says why."),
    (
        "schedule.unavailable",
        "The schedule cannot be reached now. Try again in a moment.",
    ),
    ("search.cursor", "The cursor is not one that a page of this list gave."),
    ("search.path", "A field of a search is not named by a path."),
    ("search.version", "A version is searched for without its workflow."),
    ("server.stopping", "The server is stopping. Try again in a moment."),
    ("signal.name", "The signal has no name."),
    (
        "start-key.taken",
        "The idempotency key belongs to a start with another input.",
    ),
    ("step.not-found", "The execution has no such step."),
    ("store.full", "The disk of the data folder is full."),
    ("store.locked", "Another process has the data folder."),
    ("value.not-found", "There is no such value, or not yet."),
    (
        "webhook.try-again",
        "The delivery could not be stored now. Send it again.",
    ),
    ("workflow.broken", "No version of the workflow can run."),
    (
        "workflow.changed",
        "The workflow is no longer at the version that was expected.",
    ),
    (
        "workflow.from-folder",
        "The workflow is a file in the server's folder, and is changed or removed there.",
    ),
    (
        "workflow.invalid",
        "The workflow has mistakes; `problems` has all of them with their places.",
    ),
    ("workflow.name", "A workflow cannot have this name."),
    (
        "workflow.no-graph",
        "The version can no longer be read, so it cannot be drawn.",
    ),
    ("workflow.not-found", "There is no such workflow here."),
    (
        "workflow.too-large",
        "The files are more than one deployment may be: too many steps, or too much text. Deploy fewer at once.",
    ),
    ("workflow.version-not-found", "The workflow has no such version."),
    (
        "workflow.withdrawn",
        "The workflow is not in use any more: it was removed, or its file is gone. Deploy it again.",
    ),
    ("workflows.folder", "The folder of workflows cannot be used."),
];
