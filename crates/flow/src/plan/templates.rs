//! Every template of a step.

use bowline_expression::Template;

use super::{Awaited, CallbackPlan, Gather, NodePlan, OutputPlan, RepeatCondition, Step, StepKind, Wait, Within};

impl Step {
    /// Calls `visit` for every template of this step itself, not of the steps inside it.
    pub fn each_template<'a>(&'a self, visit: &mut dyn FnMut(&'a Template)) {
        if let Some(when) = &self.when {
            visit(when);
        }
        match &self.kind {
            StepKind::Node(node) => node.each_template(visit),
            StepKind::ScatterGather(block) => match &block.strategy {
                Gather::Min(template) | Gather::Max(template) | Gather::Expression(template) => visit(template),
                Gather::All | Gather::First | Gather::Majority | Gather::Merge | Gather::BestPrice => {}
            },
            StepKind::Switch { cases, .. } => cases.iter().for_each(|case| visit(&case.when)),
            StepKind::ForEach(block) => visit(&block.items),
            StepKind::Repeat(block) => match &block.condition {
                RepeatCondition::Until(template) | RepeatCondition::While(template) => visit(template),
            },
            StepKind::Wait(Wait::For(template) | Wait::Until(template)) => visit(template),
            StepKind::Callback(callback) => callback.each_template(visit),
            StepKind::WaitFor(wait) => {
                if let Awaited::Event { key: Some(key), .. } = &wait.what {
                    visit(key);
                }
                wait.filter.iter().for_each(visit);
            }
            StepKind::Emit(emit) => emit.key.iter().chain(&emit.data).for_each(visit),
            StepKind::Approve(approve) => {
                visit(&approve.who);
                visit(&approve.what);
                if let Within::Moment(by) = &approve.within {
                    visit(by);
                }
            }
            StepKind::Respond(respond) => {
                let parts = [&respond.status, &respond.headers, &respond.body];
                parts.into_iter().flatten().for_each(visit);
            }
            StepKind::Workflow { input, .. } => input.iter().for_each(visit),
            StepKind::Set(variables) => variables.iter().for_each(|(_, template)| visit(template)),
            StepKind::Return(result) => result.iter().for_each(visit),
            StepKind::Fail { error, message } => {
                visit(error);
                message.iter().for_each(visit);
            }
            StepKind::Parallel { .. } | StepKind::Saga(_) | StepKind::Try(_) => {}
        }
    }
}

impl NodePlan {
    fn each_template<'a>(&'a self, visit: &mut dyn FnMut(&'a Template)) {
        visit(&self.config);
        self.idempotency_key.iter().for_each(&mut *visit);
        match &self.output {
            OutputPlan::Expression(template)
            | OutputPlan::Shape {
                expression: Some(template),
                ..
            } => visit(template),
            OutputPlan::Whole | OutputPlan::Shape { .. } | OutputPlan::Names(_) => {}
        }
        if let Some(callback) = &self.callback {
            callback.each_template(visit);
        }
        if let Some(fallback) = &self.fallback {
            fallback.each_template(visit);
        }
    }
}

impl CallbackPlan {
    fn each_template<'a>(&'a self, visit: &mut dyn FnMut(&'a Template)) {
        let templates = self.correlate.iter().chain(&self.success).chain(&self.output);
        templates.for_each(visit);
    }
}
