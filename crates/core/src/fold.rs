//! Scopes that fold: once one has its result, nothing in memory knows what was inside.
//!
//! [`Context::folded`] wraps a future. While that is polled, what it asks for is counted for its scope; when it
//! has succeeded, the counts of the paths inside are dropped and [`Event::ScopeFolded`] is noted, which lets
//! [`condense`](crate::condense) drop the inside from the journal. A replay of condensed records does not run
//! the future: it waits for [`Event::ScopeSkipped`], which comes just when the scope got its result.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::combine::Branch;
use crate::context::Context;
use crate::event::{Event, Fold, Path};
use crate::open::What;
use crate::state::{Asked, Resolution, Resolved, State};
use crate::{Payload, Record, StepError};

/// A scope in which less was asked for is not worth an event, and stays as it is.
const FEWEST: u64 = 4;

/// The numbers of the items or rounds that a scope is about; the end is not part of it.
pub(crate) type Range = Option<(u64, u64)>;

/// Whether `path` is inside the scope: below `scope/`, or with a range at or below `scope[i]`.
pub(crate) fn is_inside(scope: &str, range: Range, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(scope) else {
        return false;
    };
    let Some((from, to)) = range else {
        return rest.starts_with('/');
    };
    rest.strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(number, after)| {
            number.parse().is_ok_and(|number: u64| (from..to).contains(&number))
                && (after.is_empty() || after.starts_with(['/', '#']))
        })
}

/// What tells an entry into a scope apart from every other, and from every path.
pub(crate) fn scope_key(path: &str, range: Range, entry: u32) -> Path {
    let mut key = path.to_owned();
    if let Some((from, to)) = range {
        key.push_str(&format!("[{from}..{to}]"));
    }
    if entry > 1 {
        key.push_str(&format!("#{entry}"));
    }
    key.push('/');
    key.into()
}

/// All scopes of an execution that fold.
#[derive(Default)]
pub(crate) struct Folds {
    frames: HashMap<u64, Frame>,
    next_frame: u64,
    /// The innermost scope whose future is being polled.
    current: Option<u64>,
    /// Scopes that were entered, by their key without the number of the entry.
    entered: HashMap<Path, Entered>,
    /// Entries that the records to be replayed skip.
    coming: HashSet<Path>,
    /// Of entries that were skipped and whose futures have not looked yet: [`Fold::asks`] and [`Fold::most`].
    skipped: HashMap<Path, (u64, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Entered {
    times: u32,
    /// See [`Fold::most`]; 0 until it has folded.
    most: u32,
}

#[derive(Default)]
struct Frame {
    outer: Option<u64>,
    asks: u64,
    most: u32,
    /// What a path inside counts on from.
    base: u32,
    paths: Vec<Path>,
    /// Where inside a version was chosen.
    versions: Vec<Path>,
    /// Keys of scopes inside.
    scopes: Vec<Path>,
}

impl Folds {
    /// Learns which scopes the records skip.
    pub(crate) fn expect(&mut self, records: &[Record]) {
        for event in records.iter().flat_map(|record| &record.events) {
            if let Event::ScopeSkipped { fold, .. } = event {
                self.coming.insert(scope_key(&fold.path, fold.range, fold.entry));
            }
        }
    }

    /// The records say what an entry came to.
    pub(crate) fn skip(&mut self, key: &Path, fold: &Fold) {
        self.skipped.insert(Arc::clone(key), (fold.asks, fold.most));
    }

    /// The keys of scopes that were entered.
    pub(crate) fn entered(&self) -> impl Iterator<Item = &Path> {
        self.entered.keys()
    }

    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.get_mut(&self.current?)
    }

    /// What a path counts on from that is asked for now.
    pub(crate) fn base(&self) -> u32 {
        self.current
            .and_then(|current| self.frames.get(&current))
            .map_or(0, |frame| frame.base)
    }

    /// An operation was asked for.
    pub(crate) fn count_ask(&mut self) {
        if let Some(frame) = self.frame() {
            frame.asks += 1;
        }
    }

    /// A path was asked for the `count`th time.
    pub(crate) fn count_path(&mut self, path: &Path, count: u32, first: bool) {
        if let Some(frame) = self.frame() {
            frame.most = frame.most.max(count);
            if first {
                frame.paths.push(Arc::clone(path));
            }
        }
    }

    /// A version was chosen.
    pub(crate) fn count_version(&mut self, path: &Path) {
        if let Some(frame) = self.frame() {
            frame.versions.push(Arc::clone(path));
        }
    }

    /// Counts an entry into a scope, and says which one it is.
    fn enter(&mut self, scope: &Path) -> u32 {
        let base = self.base();
        let new = !self.entered.contains_key(scope);
        let entered = self
            .entered
            .entry(Arc::clone(scope))
            .or_insert(Entered { times: base, most: 0 });
        entered.times += 1;
        let times = entered.times;
        if let Some(frame) = self.frame() {
            frame.most = frame.most.max(times);
            if new {
                frame.scopes.push(Arc::clone(scope));
            }
        }
        times
    }

    fn open(&mut self, scope: &Path) -> u64 {
        let before = self.entered.get(scope).map_or(0, |entered| entered.most);
        let frame = Frame {
            outer: self.current,
            base: self.base().max(before),
            most: before,
            ..Frame::default()
        };
        self.next_frame += 1;
        self.frames.insert(self.next_frame, frame);
        self.next_frame
    }
}

impl State {
    /// Closes a scope that succeeded; says what is to be noted of it, if anything is.
    fn fold(&mut self, frame: u64, scope: &Path) -> Option<(u64, u32)> {
        let folds = &mut self.folds;
        if folds.frames.get(&frame)?.asks < FEWEST {
            folds.keep(frame);
            return None;
        }
        let Frame {
            asks,
            most,
            paths,
            versions,
            scopes,
            ..
        } = folds.frames.remove(&frame)?;
        for path in paths {
            self.asked.remove(&path);
        }
        for path in versions {
            self.versions.forget(&path);
        }
        for inner in scopes {
            folds.entered.remove(&inner);
        }
        folds.folded(scope, asks, most);
        Some((asks, most))
    }
}

impl Folds {
    /// What remains of a scope that folded.
    fn folded(&mut self, scope: &Path, asks: u64, most: u32) {
        if let Some(entered) = self.entered.get_mut(scope) {
            entered.most = entered.most.max(most);
        }
        if let Some(outer) = self.frame() {
            outer.asks += asks;
            outer.most = outer.most.max(most);
        }
    }

    /// Closes a scope that does not fold: what was inside belongs to the scope around it.
    fn keep(&mut self, frame: u64) {
        if let Some(inner) = self.frames.remove(&frame)
            && let Some(outer) = inner.outer.and_then(|outer| self.frames.get_mut(&outer))
        {
            outer.asks += inner.asks;
            outer.most = outer.most.max(inner.most);
            outer.paths.extend(inner.paths);
            outer.versions.extend(inner.versions);
            outer.scopes.extend(inner.scopes);
        }
    }
}

/// A future whose scope is folded when it succeeds; see [`Context::folded`].
#[must_use = "a scope does nothing until it is awaited"]
pub struct Folded<'a> {
    context: Context,
    path: Path,
    range: Range,
    stage: Stage<'a>,
}

enum Stage<'a> {
    New(Branch<'a, Resolution>),
    Runs {
        inside: Branch<'a, Resolution>,
        frame: u64,
        entry: u32,
    },
    /// Waits for what the records say that it came to.
    Skips {
        key: Path,
    },
    Done,
}

impl Context {
    /// Runs `inside`, whose operations all have paths below `name/` in this scope (or, with a range, at or below
    /// `name[i]` for each `i` of it), and forgets what was inside once it has succeeded: its result stands for
    /// it from then on, in memory, in [condensed](crate::condense) journals, and for a resumption.
    ///
    /// Nothing but the result may be needed of it afterwards. In particular a scope that has done what may have
    /// to be undone later, one by one, should not be folded; and what `inside` leaves in variables of the program
    /// must be part of the result, because a replay may not run it. One that fails, or that asked for next to
    /// nothing, stays as it is.
    pub fn folded<'a>(
        &self,
        name: &str,
        range: Option<(u64, u64)>,
        inside: impl Future<Output = Result<Payload, StepError>> + Send + 'a,
    ) -> Folded<'a> {
        Folded {
            context: self.clone(),
            path: self.path_of(name).into(),
            range,
            stage: Stage::New(Box::pin(inside)),
        }
    }
}

impl Folded<'_> {
    fn begin(&mut self, cx: &mut std::task::Context<'_>) -> Option<Resolution> {
        let scope = scope_key(&self.path, self.range, 1);
        let mut state = self.context.shared.lock();
        let entry = state.folds.enter(&scope);
        let key = scope_key(&self.path, self.range, entry);
        if let Some((output, most)) = state.memory.scopes.remove(&key) {
            state.folds.folded(&scope, 0, most);
            drop(state);
            self.stage = Stage::Done;
            return Some(Ok(output));
        }
        if state.folds.coming.remove(&key) {
            let asked = Asked {
                what: What::Skip,
                // Whatever ended the inside is in the records; what they say now is how.
                shielded: true,
                group: None,
                shield: u64::MAX,
            };
            state.ask(Arc::clone(&key), asked, cx.waker().clone(), None);
            drop(state);
            self.stage = Stage::Skips { key };
            return None;
        }
        let frame = state.folds.open(&scope);
        drop(state);
        if let Stage::New(inside) = mem::replace(&mut self.stage, Stage::Done) {
            self.stage = Stage::Runs { inside, frame, entry };
        }
        None
    }
}

impl Future for Folded<'_> {
    type Output = Resolution;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Resolution> {
        let this = &mut *self;
        if matches!(this.stage, Stage::New(_))
            && let Some(result) = this.begin(cx)
        {
            return Poll::Ready(result);
        }
        let shared = &this.context.shared;
        match &mut this.stage {
            Stage::Runs { inside, frame, entry } => {
                let (frame, entry) = (*frame, *entry);
                let around = shared.lock().folds.current.replace(frame);
                let polled = inside.as_mut().poll(cx);
                shared.lock().folds.current = around;
                let Poll::Ready(result) = polled else {
                    return Poll::Pending;
                };
                // Whatever it still held ends before it does.
                this.stage = Stage::Done;
                let mut state = shared.lock();
                match &result {
                    Ok(output) => {
                        let scope = scope_key(&this.path, this.range, 1);
                        if let Some((asks, most)) = state.fold(frame, &scope) {
                            state.issued.push_back(Event::ScopeFolded(Fold {
                                path: Arc::clone(&this.path),
                                range: this.range,
                                output: output.clone(),
                                asks,
                                entry,
                                most,
                            }));
                        }
                    }
                    Err(_) => state.folds.keep(frame),
                }
                Poll::Ready(result)
            }
            Stage::Skips { key } => {
                let mut state = shared.lock();
                let Some(Resolved { result, .. }) = state.resolved.remove(key) else {
                    if let Some(open) = state.open.get_mut(key) {
                        open.waker = Some(cx.waker().clone());
                    }
                    return Poll::Pending;
                };
                if let Some((asks, most)) = state.folds.skipped.remove(key) {
                    let scope = scope_key(&this.path, this.range, 1);
                    state.folds.folded(&scope, asks, most);
                }
                drop(state);
                this.stage = Stage::Done;
                Poll::Ready(result)
            }
            // Polled after it was ready, which is the program's mistake.
            Stage::New(_) | Stage::Done => Poll::Pending,
        }
    }
}

impl Drop for Folded<'_> {
    fn drop(&mut self) {
        let mut state = self.context.shared.lock();
        if state.closing {
            return;
        }
        match &self.stage {
            Stage::Runs { frame, .. } => state.folds.keep(*frame),
            Stage::Skips { key } => {
                state.resolved.remove(key);
                state.abandon(key);
            }
            Stage::New(_) | Stage::Done => {}
        }
    }
}
