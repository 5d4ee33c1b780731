//! What happened, a line each: the last of it for people, all of it in one number for comparing runs.

use std::collections::VecDeque;

use bowline_store::Write;

use crate::random::hash;

/// So many lines are kept of a run that nobody wants to see as a whole.
const LAST: usize = 120;

pub(crate) struct Trace {
    lines: VecDeque<String>,
    keeps_all: bool,
    pub(crate) hash: u64,
}

impl Trace {
    pub(crate) fn new(keeps_all: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            keeps_all,
            hash: 0,
        }
    }

    pub(crate) fn note(&mut self, at: i64, text: &str) {
        let line = format!("{:>9}.{:03} {text}", at / 1000, at % 1000);
        self.hash = hash(self.hash, &line);
        if !self.keeps_all && self.lines.len() == LAST {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn write(&mut self, at: i64, write: &Write) {
        let text = match write {
            Write::Append(record) => format!(
                "durable {} record {}: {}",
                record.exec.0,
                record.seq,
                String::from_utf8_lossy(&record.events)
            ),
            Write::Define(definition) => format!("durable definition {}", definition.hash),
            Write::Start(new) => format!("durable start {} {} {}", new.exec.0, new.id, new.workflow),
            Write::OpenWait(row) => format!("durable wait {} {} {:x}", row.exec.0, row.path, row.tag),
            Write::Keep(delivery) => format!("durable kept {}", delivery.id),
            other => format!("durable {other:?}"),
        };
        self.note(at, &text);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
