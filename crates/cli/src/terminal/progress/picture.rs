//! The trees of all executions that are under way, as one picture at the bottom of the terminal.

use std::collections::HashSet;

use super::super::palette::To;
use super::super::tree::{self, Look};
use super::super::{note, screen};
use super::{Mode, Shared};

/// The tree on the terminal.
#[derive(Default)]
pub(super) struct Picture {
    frame: usize,
    /// Main executions whose last picture has been printed.
    kept: HashSet<String>,
}

impl Picture {
    fn look(&self, shared: &Shared, live: bool) -> Look {
        Look {
            now: shared.clock.now(),
            frame: self.frame,
            to: To::Stderr,
            live,
        }
    }

    /// Draws what is under way, instead of what was drawn before.
    pub(super) fn draw(&mut self, shared: &Shared) {
        if shared.mode != Mode::Tree {
            return;
        }
        self.frame += 1;
        let (rows, columns) = screen::size();
        let mut lines = Vec::new();
        {
            let mut views = shared.views();
            // What was remembered is loaded only when it is taken up.
            for view in views.by_id.values_mut().filter(|view| view.shape.is_none()) {
                view.shape = (shared.shapes)(&view.workflow);
            }
            for view in views.order.iter().filter_map(|id| views.by_id.get(id)) {
                if self.kept.contains(&view.id) || !views.is_root(view) {
                    continue;
                }
                let look = self.look(shared, view.outcome.is_none());
                lines.push(tree::heading(view, look));
                lines.extend(tree::steps(view, &views.by_id, look));
            }
        }
        let lines = tree::fit(lines, rows - 2);
        screen::draw(
            lines
                .iter()
                .map(|line| console::truncate_str(line, columns - 1, "…").into_owned())
                .collect(),
        );
    }

    /// Prints the last picture of an execution that has ended, where it stays.
    pub(super) fn keep(&mut self, shared: &Shared, id: &str) {
        let mut text = Vec::new();
        {
            let mut views = shared.views();
            let is_main = views.main.as_deref() == Some(id);
            if let Some(view) = views.by_id.get(id) {
                let look = self.look(shared, false);
                text.push(tree::heading(view, look).text);
                let failed = tree::error_line(view).is_some();
                if is_main || failed {
                    text.extend(tree::steps(view, &views.by_id, look).into_iter().map(|line| line.text));
                }
            }
            views.forget(id);
        }
        self.kept.insert(id.to_owned());
        self.draw(shared);
        if !text.is_empty() {
            note(&text.join("\n"));
        }
    }

    /// Leaves what is on the terminal as it stands.
    pub(super) fn last(&mut self, shared: &Shared) {
        if shared.mode != Mode::Tree {
            return;
        }
        self.draw(shared);
        screen::leave();
    }
}
