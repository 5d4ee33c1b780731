//! What others do: how steps go, who answers callbacks and sends signals, and when.

use bowline_core::{Attempt, Wait};
use bowline_store::{CallbackAddress, ExecNo};

use crate::actions::{Action, ORGANIZATIONS};
use crate::plan::StepPlan;
use crate::steps::{Behaviour, Purpose, errors};
use crate::world::State;

impl State {
    pub(crate) fn behaviour(&mut self, attempt: &Attempt, plan: StepPlan, purpose: &Purpose) -> (u64, Behaviour) {
        let takes = self.random.pick(&[0, 0, 0, 1, 10, 10, 10, 50, 50, 200, 1_500, 20_000]);
        match purpose {
            Purpose::SendToken(token) => self.expect_token(token),
            Purpose::SendKey(key) => self.expect_key(key),
            Purpose::Work | Purpose::Verify => {}
        }
        if self.settling && attempt.number > 2 {
            return (takes.min(50), Behaviour::Succeeds(self.text()));
        }
        let chance = self.random.below(100);
        let behaviour = match chance {
            0..=11 => Behaviour::Fails(errors()[0].clone()),
            12..=16 if matches!(purpose, Purpose::Work) => Behaviour::Fails(errors()[1].clone()),
            17..=21 => Behaviour::Fails(errors()[2].clone()),
            22..=23 => Behaviour::Fails(errors()[3].clone()),
            24..=25 => Behaviour::Panics,
            26..=29 if plan.timeout.is_some() => Behaviour::Hangs,
            30..=70 if matches!(purpose, Purpose::Verify) => Behaviour::Nothing,
            _ => Behaviour::Succeeds(self.text()),
        };
        (takes, behaviour)
    }

    /// Somebody will answer this callback, if nobody will yet.
    fn expect_token(&mut self, token: &str) {
        if let Some((exec, tag)) = self.tokens.read(token)
            && self.is_new(ExecNo(exec), &format!("wait {exec} {tag:x}"))
        {
            self.answer(CallbackAddress::Token(token.to_owned()), None);
        }
    }

    fn expect_key(&mut self, key: &str) {
        let id = key.split(':').next().unwrap_or_default();
        let exec = self.ledger.numbers.get(id).copied().unwrap_or(ExecNo(0));
        if self.is_new(exec, &format!("key {key}")) {
            self.answer_reference(exec, key, None);
        }
    }

    /// Whether nobody is to answer this callback yet, in this life of its execution.
    fn is_new(&mut self, exec: ExecNo, what: &str) -> bool {
        let lives = self.ledger.lives.get(&exec).map_or(0, |life| life.lives);
        self.answers.insert(format!("{what} {lives}"))
    }

    /// Answers a reference; now and then somebody uses the same one in another organization before.
    fn answer_reference(&mut self, exec: ExecNo, key: &str, until: Option<i64>) {
        let Some(life) = self.ledger.lives.get(&exec) else {
            return;
        };
        let own = life.organization.clone();
        let address = |organization: &str| CallbackAddress::Key {
            organization: organization.to_owned(),
            name: "channel".into(),
            key: key.to_owned(),
        };
        if self.random.percent(10)
            && let Some(other) = ORGANIZATIONS.into_iter().find(|other| *other != own)
        {
            let text = self.text();
            let now = self.now();
            let astray = Action::Answer {
                address: address(other),
                text: Some(text),
                fails: false,
            };
            self.queue.add(now, astray);
        }
        self.answer(address(&own), until);
    }

    fn answer(&mut self, address: CallbackAddress, until: Option<i64>) {
        let now = self.now();
        let mut at = now
            + self
                .random
                .pick(&[0, 0, 1, 10, 10, 500, 3_000, 20_000, 40_000, 200_000]) as i64;
        if until.is_some() && self.random.percent(20) {
            return;
        }
        for _ in 0..self.random.pick(&[0, 0, 0, 1, 3]) {
            let heartbeat = Action::Answer {
                address: address.clone(),
                text: None,
                fails: false,
            };
            let before = now + self.random.below((at - now).max(1) as u64) as i64;
            self.queue.add(before, heartbeat);
        }
        let fails = self.random.percent(12);
        let times = if self.random.percent(25) { 2 } else { 1 };
        for _ in 0..times {
            let text = self.text();
            self.queue.add(
                at,
                Action::Answer {
                    address: address.clone(),
                    text: Some(text),
                    fails,
                },
            );
            at += self.random.pick(&[0, 0, 1, 10, 5_000, 60_000]) as i64;
        }
    }

    pub(crate) fn opened(&mut self, exec: ExecNo, tag: u64, wait: &Wait, until: Option<i64>) {
        let now = self.now();
        match wait {
            Wait::Callback { key: Some(key), .. } => {
                if self.is_new(exec, &format!("key {key}")) {
                    self.answer_reference(exec, key, until);
                }
            }
            Wait::Callback { .. } => {
                if self.is_new(exec, &format!("wait {} {tag:x}", exec.0)) {
                    let token = self.tokens.token(exec.0, tag);
                    self.answer(CallbackAddress::Token(token), until);
                }
            }
            Wait::Signal { name } => {
                let Some(id) = self.ledger.lives.get(&exec).map(|life| life.id.to_string()) else {
                    return;
                };
                let name = name.to_string();
                for even in [false, true] {
                    let signal = self.signal(&id, &name, even);
                    let after = self.random.pick(&[0, 1, 10, 1_000, 15_000, 60_000]) as i64;
                    if even || self.random.percent(30) {
                        self.queue.add(now + after, signal);
                    }
                }
            }
            // Others emit, or what settles does.
            Wait::Event { .. } => {}
        }
    }

    pub(crate) fn signal(&mut self, id: &str, name: &str, even: bool) -> Action {
        let text = self.text();
        Action::Signal {
            id: id.to_owned(),
            name: name.to_owned(),
            data: format!("{text}.{}", if even { 4 } else { 5 }),
            signal: text,
        }
    }
}
