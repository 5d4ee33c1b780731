//! The line of one step, timer or child.

use super::super::model::{Op, State, What};
use super::super::{text, time};
use super::{Tree, Weight, awaited, wheel};

impl Tree<'_> {
    /// The line of what is asked for at `path`, also where it has not been yet.
    pub(super) fn op(&mut self, path: &str, name: &str, kind: &str, depth: usize) {
        let to = self.look.to;
        let Some(op) = self.latest(path).cloned() else {
            let (icon, note) = if self.has_ended() {
                ("–", "  not run")
            } else {
                ("·", "")
            };
            let line = to.dim(format!("{icon} {name}  {kind}{note}")).to_string();
            return self.push(depth, Weight::Idle, line);
        };
        let (icon, weight) = match op.state {
            State::Running => (wheel(self.look), Weight::Open),
            State::Waiting if matches!(op.what, What::Timer | What::Wait { .. }) => {
                (to.busy("◷").to_string(), Weight::Open)
            }
            State::Waiting => (to.warn("↻").to_string(), Weight::Open),
            State::Done => (to.good("✓").to_string(), Weight::Done),
            State::Failed => (to.bad("✗").to_string(), Weight::Failed),
            State::Cancelled => (to.dim("–").to_string(), Weight::Done),
        };
        let standing = self.standing(path, &op);
        let line = format!(
            "{icon} {name}  {}{}{standing}",
            to.dim(kind),
            if standing.is_empty() { "" } else { "  " }
        );
        self.push(depth, weight, line);
    }

    /// The same, but nothing where it has not been asked for.
    pub(super) fn op_if_any(&mut self, path: &str, name: &str, kind: &str, depth: usize) {
        if self.latest(path).is_some() {
            self.op(path, name, kind, depth);
        }
    }

    /// A path that is asked for again gets a number; the last one counts.
    fn latest(&self, path: &str) -> Option<&Op> {
        let ops = &self.view.ops;
        let mut found = ops.get(path)?;
        for number in 2.. {
            match ops.get(format!("{path}#{number}").as_str()) {
                Some(again) => found = again,
                None => break,
            }
        }
        Some(found)
    }

    fn standing(&self, path: &str, op: &Op) -> String {
        let to = self.look.to;
        let now = self.look.now;
        let most = self.view.attempts(path);
        let attempt = || text::attempt(op.attempt, most);
        let told = |error: &bowline_core::StepError| format!("{} [{}]", text::message(error), error.code);
        let took = || time::duration(op.ended_at.unwrap_or(now) - op.asked_at);
        match (op.state, &op.what) {
            (State::Running, What::Step { .. }) if op.attempt > 1 || op.error.is_some() => {
                format!("{}  {}", attempt(), to.dim(took()))
            }
            (State::Waiting, What::Timer) => {
                let due = op.due.unwrap_or(now);
                format!("until {} ({} left)", time::due(due, now), time::until(due, now))
            }
            (State::Waiting, What::Wait { .. }) => format!("waits for {}", awaited(&op.what, now)),
            (State::Waiting, _) => {
                let error = op.error.as_ref().map(&told).unwrap_or_default();
                let next = time::until(op.due.unwrap_or(now), now);
                format!("{} failed: {error}; next attempt in {next}", attempt())
            }
            (State::Done, _) if op.kept => to.dim("kept").to_string(),
            (State::Done, What::Child { detached: true, .. }) => to.dim("goes on by itself").to_string(),
            (State::Done, What::Step { .. }) if op.attempt > 1 => {
                format!(
                    "{}  {}",
                    to.dim(took()),
                    to.warn(text::count(op.attempt as usize, "attempt"))
                )
            }
            (State::Running | State::Done, _) => to.dim(took()).to_string(),
            (State::Failed, What::Step { .. }) => {
                let error = op.error.as_ref().map(&told).unwrap_or_default();
                format!("{} failed: {error}", attempt())
            }
            (State::Failed, _) => op.error.as_ref().map(&told).unwrap_or_default(),
            (State::Cancelled, _) => to.dim("cancelled").to_string(),
        }
    }
}
