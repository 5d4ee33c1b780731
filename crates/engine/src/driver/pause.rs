//! Standing still: what runs may end and is recorded, nothing new begins, and then it leaves memory.

use bowline_core::Path;
use bowline_store::ExecNo;
use tokio::sync::oneshot;

use super::Driver;
use crate::routing::Handled;
use crate::running::Running;
/// Who stands still, or goes on.
pub(crate) enum Pause {
    /// This execution.
    One(ExecNo),
    /// All executions of this organization's workflow.
    Workflow(Path, Path),
    /// This execution goes on; whoever asked is told when that is durable.
    Continue(ExecNo, oneshot::Sender<Handled>),
    /// All executions of this organization's workflow go on.
    ContinueWorkflow(Path, Path),
}

impl Driver {
    pub(super) fn pause(&mut self, pause: Pause) {
        let (on, concerned): (bool, Vec<ExecNo>) = match pause {
            Pause::One(exec) => (true, vec![exec]),
            Pause::Continue(exec, told) => {
                let Some(running) = self.executions.get_mut(&exec) else {
                    // Whoever asked may have gone.
                    let _ = told.send(Handled::Gone);
                    return;
                };
                running.continued.push(told);
                (false, vec![exec])
            }
            Pause::Workflow(owner, name) => (true, self.of_workflow(&owner, &name)),
            Pause::ContinueWorkflow(owner, name) => (false, self.of_workflow(&owner, &name)),
        };
        for exec in concerned {
            if on {
                self.stand_still(exec);
            } else {
                self.go_on(exec);
            }
        }
    }

    fn of_workflow(&self, organization: &str, name: &str) -> Vec<ExecNo> {
        let mut found: Vec<ExecNo> = self
            .executions
            .iter()
            .filter(|(_, running)| &*running.organization == organization && &*running.workflow == name)
            .map(|(exec, _)| *exec)
            .collect();
        found.sort_unstable();
        found
    }

    fn stand_still(&mut self, exec: ExecNo) {
        let Some(running) = self.executions.get_mut(&exec) else {
            return;
        };
        (running.paused, running.goes_on) = (true, false);
        // Attempts that wait for their time: what the journal says of them brings them back.
        running.waiting.clear();
        self.io.say_so(exec, running);
    }

    pub(super) fn go_on(&mut self, exec: ExecNo) {
        let Some(running) = self.executions.get_mut(&exec) else {
            return;
        };
        if !running.paused {
            return running.say_continued();
        }
        if !running.awaiting.is_empty() {
            // What follows from that would be begun twice: now, and when it is durable.
            running.goes_on = true;
            return;
        }
        running.paused = false;
        // What it would have begun meanwhile is still open.
        let effects = running.execution.open_effects(self.io.env.options.clock.now());
        self.io.say_so(exec, running);
        running.say_continued();
        self.io.perform(exec, running, effects, true);
        self.follow_up();
    }
}

impl Running {
    /// Tells those who let it go on, when what was submitted last is durable.
    fn say_continued(&mut self) {
        for told in self.continued.drain(..) {
            match self.awaiting.back_mut() {
                Some(last) => last.told.push((told, Handled::Recorded)),
                // Whoever asked may have gone.
                None => drop(told.send(Handled::Recorded)),
            }
        }
    }
}
