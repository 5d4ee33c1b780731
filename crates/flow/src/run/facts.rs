//! What is known of a plan before it runs: which names anything reads, which may be secret, and so which
//! blocks can be forgotten once they are done.

use std::collections::{BTreeSet, HashSet};

use bowline_expression::Template;

use crate::plan::{NodePlan, OutputPlan, Plan, Step, StepKind, UnknownOutcome};

/// How many steps a stretch of a loop has, about; see [`Facts::stretch`].
const STRETCH: usize = 1000;

/// Facts about one plan.
#[derive(Default)]
pub(crate) struct Facts {
    /// Every name that an expression reads.
    reads: HashSet<String>,
    /// Some expression reads everything there is.
    reads_all: bool,
    /// Names that may stand for a secret.
    secret: HashSet<String>,
}

impl Facts {
    pub(crate) fn of(plan: &Plan) -> Self {
        let steps = plan.all_steps();
        let mut facts = Self::default();
        let mut note = |template: &Template| {
            for (_, _, expression) in template.expressions() {
                let roots = expression.roots();
                facts.reads_all |= roots.whole;
                facts.reads.extend(roots.names.iter().cloned());
            }
        };
        for step in &steps {
            step.each_template(&mut note);
        }
        plan.output.iter().for_each(note);
        facts.secret = ["env", "credentials", "auth"].map(str::to_owned).into();
        // What is made of a secret is one: until nothing is added any more.
        loop {
            let before = facts.secret.len();
            for step in &steps {
                facts.taint(step);
            }
            if facts.secret.len() == before {
                return facts;
            }
        }
    }

    fn taint(&mut self, step: &Step) {
        match &step.kind {
            StepKind::Set(variables) => {
                for (name, template) in variables {
                    if self.may_be_secret(template) {
                        self.secret.insert(name.clone());
                    }
                }
            }
            StepKind::ForEach(block) if self.may_be_secret(&block.items) => {
                self.secret.insert(block.as_name.clone());
            }
            _ => {}
        }
    }

    fn may_be_secret(&self, template: &Template) -> bool {
        template.expressions().any(|(_, _, expression)| {
            let roots = expression.roots();
            roots.whole || roots.names.iter().any(|name| self.secret.contains(name))
        })
    }

    /// Whether some expression reads this name.
    pub(crate) fn is_read(&self, name: &str) -> bool {
        self.reads_all || self.reads.contains(name)
    }

    /// Whether everything that the rest of the run may need of these steps can be told in one value: nothing in
    /// them has to be undone later, and nothing they name is secret.
    pub(crate) fn can_fold(&self, steps: &[Step]) -> bool {
        let mut folds = true;
        for step in steps {
            step.walk(&mut |step| folds &= self.can_fold_alone(step));
        }
        folds
    }

    fn can_fold_alone(&self, step: &Step) -> bool {
        match &step.kind {
            StepKind::Node(node) => node.compensation.is_none() && !names_secrets(node),
            StepKind::Saga(saga) => saga.steps.iter().all(|step| step.compensation.is_none()),
            StepKind::Set(variables) => variables.iter().all(|(_, template)| !self.may_be_secret(template)),
            _ => true,
        }
    }

    /// How many rounds of a loop fold together.
    pub(crate) fn stretch(steps: &[Step]) -> usize {
        let mut count = 0;
        for step in steps {
            step.walk(&mut |_| count += 1);
        }
        (STRETCH / count.max(1)).clamp(10, STRETCH)
    }

    /// The names that these steps may make and that something reads, in order.
    pub(crate) fn makes(&self, steps: &[Step]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        made_by(steps, &mut names);
        names.retain(|name| self.is_read(name));
        names
    }
}

/// The names that steps make in the frame they run in. What is inside `forEach` stays there.
fn made_by(steps: &[Step], names: &mut BTreeSet<String>) {
    for step in steps {
        match &step.kind {
            StepKind::Set(variables) => names.extend(variables.iter().map(|(name, _)| name.clone())),
            _ => drop(names.insert(step.id.clone())),
        }
        if let StepKind::Node(node) = &step.kind {
            if let OutputPlan::Names(outputs) = &node.output {
                names.extend(outputs.iter().filter_map(|output| output.name.first().cloned()));
            }
            if let UnknownOutcome::Verify(verify) = &node.unknown_outcome {
                made_by(std::slice::from_ref(verify), names);
            }
        }
        if !matches!(step.kind, StepKind::ForEach(_) | StepKind::Node(_)) {
            step.each_child(&mut |child| made_by(std::slice::from_ref(child), names));
        }
    }
}

/// Whether the result of a node gives a secret a name, also by way of its fallback.
fn names_secrets(node: &NodePlan) -> bool {
    let own = match &node.output {
        OutputPlan::Names(outputs) => outputs
            .iter()
            .any(|output| matches!(output.name.first().map(String::as_str), Some("auth" | "credentials"))),
        _ => false,
    };
    own || node.fallback.as_deref().is_some_and(names_secrets)
}

/// The most operations that steps without loops ask for is their number; with one it is not known.
pub(crate) fn may_do_much(steps: &[Step]) -> bool {
    let (mut operations, mut loops) = (0, false);
    for step in steps {
        step.walk(&mut |step| match &step.kind {
            StepKind::ForEach(_) | StepKind::Repeat(_) => loops = true,
            StepKind::Switch { .. } | StepKind::Set(_) | StepKind::Return(_) | StepKind::Fail { .. } => {}
            _ => operations += 1,
        });
    }
    loops || operations > 3
}
