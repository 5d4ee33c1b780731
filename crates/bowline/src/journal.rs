//! The journal of an execution, to be kept and replayed elsewhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Event, Record};

/// Everything that happened in an execution. It can be kept as JSON: journals of real executions beside the tests
/// show whether a change of the code would still replay them (see [`testing::replay_check`](crate::testing::replay_check)).
///
/// ```
/// use bowline::{testing, Bowline, Context, Journal, Workflow};
///
/// # testing::block_on(async {
/// let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
/// let world = testing::World::new(Bowline::builder().workflow(&double)).await?;
/// world.start(&double, 4).id("four").await?.result().await?;
///
/// let text = serde_json::to_string_pretty(&world.journal("four").await?)?;
/// let journal: Journal = serde_json::from_str(&text)?;
/// testing::replay_check(&double, &journal)?;
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Journal {
    /// The id of the execution.
    pub id: String,
    /// The name of its workflow.
    pub workflow: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at: i64,
    /// What happened, in order; each record was one commit.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub records: Vec<Record>,
}

/// A record as JSON.
#[derive(Serialize, Deserialize)]
struct Line<E> {
    at: i64,
    events: E,
}

fn write<S: Serializer>(records: &[Record], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(records.iter().map(|record| Line {
        at: record.at,
        events: &record.events,
    }))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Record>, D::Error> {
    let lines = Vec::<Line<Vec<Event>>>::deserialize(deserializer)?;
    Ok(lines
        .into_iter()
        .map(|Line { at, events }| Record { at, events })
        .collect())
}
