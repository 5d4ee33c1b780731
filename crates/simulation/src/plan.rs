//! Random workflows.

use crate::random::Random;

/// What a workflow does.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Step(StepPlan),
    /// For so many milliseconds.
    Sleep(u64),
    Callback(CallbackPlan),
    Signal {
        name: u64,
        timeout: Option<u64>,
        /// Takes only those whose data ends in a digit that is even.
        picky: bool,
    },
    Event {
        event: u64,
        key: Option<u64>,
        timeout: Option<u64>,
    },
    Emit {
        event: u64,
        key: Option<u64>,
    },
    Child {
        workflow: usize,
        detached: bool,
    },
    Seq(Vec<Node>),
    All(Vec<Node>),
    /// The first wins, the others are cancelled; awaited if `gently`.
    Race {
        branches: Vec<Node>,
        gently: bool,
    },
    /// An error is part of the result.
    Try(Box<Node>),
    /// Before each action something that may fail.
    Saga(Vec<Node>),
    /// Cancelled after so many milliseconds.
    Within(u64, Box<Node>),
    /// A loop whose turns are folded, so many at a time.
    Fold {
        items: u64,
        chunk: u64,
        body: Box<Node>,
    },
}

/// How a step is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepPlan {
    pub(crate) attempts: u32,
    /// In milliseconds, as all of them.
    pub(crate) timeout: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) pause: u64,
    pub(crate) fail_on_unknown: bool,
    /// Where it is not known whether it was carried out, another step finds out.
    pub(crate) verify: bool,
}

/// How a callback is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallbackPlan {
    /// A step hands the token (or the reference) out before.
    pub(crate) sends: bool,
    /// It has a reference.
    pub(crate) keyed: bool,
    pub(crate) timeout: Option<u64>,
    pub(crate) heartbeat: Option<u64>,
}

/// The workflow that emits every event there is with every key.
pub(crate) const EMITTER: usize = 0;
pub(crate) const EVENTS: u64 = 2;
pub(crate) const KEYS: u64 = 2;
pub(crate) const SIGNALS: u64 = 2;

/// All workflows of a seed. One starts only those after it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) workflows: Vec<Node>,
}

impl Plan {
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut emitter = Vec::new();
        for event in 0..EVENTS {
            emitter.push(Node::Emit { event, key: None });
            emitter.extend((0..KEYS).map(|key| Node::Emit { event, key: Some(key) }));
        }
        let count = random.between(2, 4) as usize;
        let mut workflows = vec![Node::Seq(emitter)];
        for number in 1..=count {
            let depth = random.between(1, 4);
            let children = (number + 1..=count).collect();
            let mut maker = Maker {
                random,
                children,
                folds: false,
                left: 24,
            };
            workflows.push(maker.node(depth));
        }
        Self { workflows }
    }
}

struct Maker<'a> {
    random: &'a mut Random,
    children: Vec<usize>,
    /// Inside of a folded scope: nothing that has to be undone.
    folds: bool,
    /// So many nodes at most.
    left: u64,
}

impl Maker<'_> {
    fn node(&mut self, depth: u64) -> Node {
        self.left = self.left.saturating_sub(1);
        if depth == 0 || self.left == 0 {
            return self.leaf();
        }
        match self.random.below(20) {
            0..=4 => Node::Seq(self.nodes(depth)),
            5..=7 => Node::All(self.nodes(depth)),
            8..=10 => {
                let branches = self.nodes(depth);
                let gently = self.random.percent(50) || branches.iter().any(has_saga);
                Node::Race { branches, gently }
            }
            11..=13 if !self.folds => Node::Saga(self.nodes(depth)),
            14 => Node::Try(Box::new(self.node(depth - 1))),
            15 => {
                let ms = self.span();
                Node::Within(ms, Box::new(self.node(depth - 1)))
            }
            16 => {
                let outer = std::mem::replace(&mut self.folds, true);
                let body = Box::new(self.node(depth - 1));
                self.folds = outer;
                Node::Fold {
                    items: self.random.between(1, 8),
                    chunk: self.random.between(1, 4),
                    body,
                }
            }
            _ => self.leaf(),
        }
    }

    fn nodes(&mut self, depth: u64) -> Vec<Node> {
        (0..self.random.between(1, 3)).map(|_| self.node(depth - 1)).collect()
    }

    fn leaf(&mut self) -> Node {
        match self.random.below(20) {
            0..=3 => Node::Sleep(self.span()),
            4..=7 => Node::Callback(CallbackPlan {
                sends: self.random.percent(60),
                keyed: self.random.percent(40),
                timeout: self.limit(),
                heartbeat: self
                    .random
                    .percent(20)
                    .then(|| self.random.pick(&[1_000, 5_000, 20_000, 60_000])),
            }),
            8 => Node::Signal {
                name: self.random.below(SIGNALS),
                timeout: self.limit(),
                picky: self.random.percent(30),
            },
            9 => Node::Event {
                event: self.random.below(EVENTS),
                key: self.key(),
                timeout: self.limit(),
            },
            10 => Node::Emit {
                event: self.random.below(EVENTS),
                key: self.key(),
            },
            11..=12 if !self.children.is_empty() => {
                let place = self.random.below(self.children.len() as u64) as usize;
                Node::Child {
                    workflow: self.children[place],
                    detached: self.random.percent(25),
                }
            }
            _ => Node::Step(self.step()),
        }
    }

    fn key(&mut self) -> Option<u64> {
        self.random.percent(50).then(|| self.random.below(KEYS))
    }

    fn limit(&mut self) -> Option<u64> {
        self.random
            .percent(50)
            .then(|| self.random.pick(&[50, 1_000, 10_000, 30_000, 120_000]))
    }

    fn span(&mut self) -> u64 {
        self.random
            .pick(&[0, 1, 10, 10, 50, 100, 1_000, 5_000, 12_000, 45_000, 300_000])
    }

    fn step(&mut self) -> StepPlan {
        StepPlan {
            attempts: self.random.between(1, 4) as u32,
            timeout: self.random.percent(60).then(|| self.random.pick(&[100, 1_000, 30_000])),
            total: self.random.percent(15).then(|| self.random.pick(&[1_000, 20_000])),
            pause: self.random.pick(&[1, 10, 100, 1_000, 15_000]),
            fail_on_unknown: self.random.percent(25),
            verify: self.random.percent(50),
        }
    }
}

fn has_saga(node: &Node) -> bool {
    match node {
        Node::Saga(_) => true,
        Node::Seq(nodes) | Node::All(nodes) | Node::Race { branches: nodes, .. } => nodes.iter().any(has_saga),
        Node::Try(node) | Node::Within(_, node) | Node::Fold { body: node, .. } => has_saga(node),
        _ => false,
    }
}
