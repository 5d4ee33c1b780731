//! Live progress: what the engine commits, shown while it happens.
//!
//! The engine's threads only take note of events; a thread of its own draws, prints and writes JSON, so that a
//! slow terminal or pipe holds nothing up. Drawing takes at most a twentieth of a processor's time.

mod picture;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bowline_core::Event;
use bowline_engine::{Clock, Committed, Observer};

use super::model::{Activity, View, What};
use super::palette;
use super::shape::Shape;
use super::{json, lines, time};
use picture::Picture;

/// The shortest time between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// What is due this much later, in milliseconds, is worth waiting for.
const SOON: i64 = 5_000;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a tree that is drawn again and again, on stderr.
    Tree,
    /// As a line for each event, on stderr.
    Lines,
    /// As a line of JSON for each event, on stdout.
    Json,
    /// Not at all.
    Quiet,
}

impl Mode {
    /// What fits the command line and the terminal.
    pub(crate) fn choose(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ if palette::can_redraw() => Self::Tree,
            _ => Self::Lines,
        }
    }
}

/// What all unfinished executions together do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Some are being worked on, or will be within seconds.
    Busy,
    /// Some wait for what is further away, or for answers.
    Waiting,
    /// There are none.
    Idle,
}

/// Gives the shape of a workflow, by its name.
pub(crate) type Shapes = Box<dyn Fn(&str) -> Option<Arc<Shape>> + Send + Sync>;

enum Message {
    Line(i64, String),
    Event(String, i64, Event),
    Ended(String),
    /// Tell when everything before this has been shown.
    Shown(Sender<()>),
    Stop,
}

struct Shared {
    mode: Mode,
    clock: Clock,
    shapes: Shapes,
    views: Mutex<Views>,
}

#[derive(Default)]
struct Views {
    by_id: HashMap<String, View>,
    /// In the order in which they were heard of.
    order: Vec<String>,
    /// The execution that this process was started for; it is kept after its end.
    main: Option<String>,
}

impl Shared {
    fn views(&self) -> MutexGuard<'_, Views> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    fn view(&mut self, id: &str, workflow: &str, at: i64, shapes: &Shapes) -> &mut View {
        if !self.by_id.contains_key(id) {
            self.order.push(id.to_owned());
        }
        let view = self
            .by_id
            .entry(id.to_owned())
            .or_insert_with(|| View::new(id, workflow, at));
        if view.shape.is_none() {
            view.shape = shapes(workflow);
        }
        view
    }

    fn forget(&mut self, id: &str) {
        if self.main.as_deref() != Some(id) {
            self.by_id.remove(id);
            self.order.retain(|other| other != id);
        }
    }

    /// Whether it is shown by itself, and not within the execution that started it.
    fn is_root(&self, view: &View) -> bool {
        view.parent
            .as_ref()
            .is_none_or(|parent| !self.by_id.contains_key(parent))
    }
}

/// Shows progress until it is finished or dropped.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// The engine's end of it.
struct Watching {
    shared: Arc<Shared>,
    sender: Sender<Message>,
}

impl Progress {
    /// Begins to show. `main` is the id of the execution that matters most.
    pub(crate) fn start(mode: Mode, clock: Clock, main: Option<String>, shapes: Shapes) -> std::io::Result<Self> {
        let views = Mutex::new(Views {
            main,
            ..Views::default()
        });
        let shared = Arc::new(Shared {
            mode,
            clock,
            shapes,
            views,
        });
        let (sender, receiver) = channel();
        let showing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("bowline-progress".into())
            .spawn(move || show(&showing, &receiver))?;
        Ok(Self {
            shared,
            sender,
            thread: Some(thread),
        })
    }

    /// What the engine is to be given.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Watching {
            shared: Arc::clone(&self.shared),
            sender: self.sender.clone(),
        })
    }

    /// Takes note of the past of an execution that goes on.
    pub(crate) fn remember(&self, view: View) {
        let mut views = self.shared.views();
        if !views.by_id.contains_key(&view.id) {
            views.order.push(view.id.clone());
            views.by_id.insert(view.id.clone(), view);
        }
    }

    /// From now on this is the execution that matters most.
    pub(crate) fn mind(&self, id: &str) {
        self.shared.views().main = Some(id.to_owned());
    }

    /// Forgets an execution that does not go on after all.
    pub(crate) fn forget(&self, id: &str) {
        self.shared.views().forget(id);
    }

    /// What the executions do, of which the engine has so many in memory.
    pub(crate) fn rest(&self, in_flight: usize) -> Rest {
        let now = self.shared.clock.now();
        let views = self.shared.views();
        let (mut waiting, mut parents) = (0, 0);
        for view in views.by_id.values() {
            match view.activity() {
                Activity::Ended => {}
                Activity::Busy => return Rest::Busy,
                Activity::Until(Some(at)) if at <= now + SOON => return Rest::Busy,
                Activity::Until(_) => waiting += 1,
                Activity::Children => parents += 1,
            }
        }
        match in_flight {
            0 => Rest::Idle,
            // There are some that nothing has been heard of yet.
            _ if waiting == 0 || waiting + parents < in_flight => Rest::Busy,
            _ => Rest::Waiting,
        }
    }

    /// When the first of the executions that are known is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        let views = self.shared.views();
        let due = views.by_id.values().filter_map(|view| match view.activity() {
            Activity::Until(at) => at,
            _ => None,
        });
        due.min()
    }

    /// This execution and those that it waits for, as far as they wait for something from outside.
    pub(crate) fn waiting_on(&self, id: &str) -> Vec<String> {
        let views = self.shared.views();
        let mut found = Vec::new();
        let mut ids = vec![id];
        while let Some(view) = ids.pop().and_then(|id| views.by_id.get(id)) {
            let open = view.ops.values().filter(|op| op.is_open());
            let mut waits = false;
            for op in open {
                match &op.what {
                    What::Wait { .. } => waits = true,
                    What::Child { id, .. } => ids.push(id),
                    What::Step { .. } | What::Timer | What::Emit { .. } => {}
                }
            }
            if waits {
                found.push(view.id.clone());
            }
        }
        found
    }

    /// The execution that matters most, as far as it has been heard of.
    pub(crate) fn main(&self) -> Option<View> {
        let views = self.shared.views();
        views.by_id.get(views.main.as_ref()?).cloned()
    }

    /// Returns when everything that has happened so far is shown.
    pub(crate) fn catch_up(&self) {
        let (told, shown) = channel();
        if self.sender.send(Message::Shown(told)).is_ok() {
            // If the thread has gone there is nothing to wait for.
            let _ = shown.recv();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A thread that has gone needs no telling.
        let _ = self.sender.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Observer for Watching {
    fn committed(&self, committed: Committed<'_>) {
        let Committed {
            id,
            workflow,
            parent,
            at,
            events,
            ..
        } = committed;
        let mode = self.shared.mode;
        let mut views = self.shared.views();
        let is_main = views.main.as_deref().is_none_or(|main| main == id);
        let view = views.view(id, workflow, at, &self.shared.shapes);
        view.parent = parent.map(ToOwned::to_owned);
        let mut messages = Vec::new();
        for event in events {
            view.apply(at, event);
            match mode {
                Mode::Lines => {
                    let whose = if is_main {
                        String::new()
                    } else {
                        format!("{workflow}: ")
                    };
                    let told = lines::describe(view, at, event);
                    messages.push(Message::Line(at, format!("{whose}{told}")));
                }
                Mode::Json => messages.push(Message::Event(id.to_owned(), at, event.clone())),
                Mode::Tree | Mode::Quiet => {}
            }
        }
        if view.outcome.is_some() {
            let view = view.clone();
            if mode == Mode::Tree && views.is_root(&view) {
                messages.push(Message::Ended(view.id));
            } else {
                views.forget(id);
            }
        }
        drop(views);
        for message in messages {
            // If the thread has gone nobody is shown anything.
            let _ = self.sender.send(message);
        }
    }

    fn attempt(&self, id: &str, path: &str, attempt: u32) {
        if let Some(view) = self.shared.views().by_id.get_mut(id) {
            view.attempt(path, attempt);
        }
    }
}

fn show(shared: &Shared, receiver: &Receiver<Message>) {
    let mut picture = Picture::default();
    let mut next = Instant::now();
    loop {
        let message = if shared.mode == Mode::Tree {
            receiver.recv_timeout(next.saturating_duration_since(Instant::now()))
        } else {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match message {
            // The first look at the time zone takes its time; here it holds nothing up.
            Ok(Message::Line(at, line)) => super::note(&format!("{} {line}", time::clock(at))),
            Ok(Message::Event(id, at, event)) => {
                if let Err(failure) = super::print_json_line(&json::event(&id, at, &event)) {
                    failure.report();
                }
            }
            Ok(Message::Ended(id)) => picture.keep(shared, &id),
            Ok(Message::Shown(told)) => {
                picture.draw(shared);
                // Whoever asked may have gone.
                let _ = told.send(());
            }
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                picture.last(shared);
                return;
            }
            Err(RecvTimeoutError::Timeout) => {
                let begun = Instant::now();
                picture.draw(shared);
                next = Instant::now() + FRAME.max(begun.elapsed() * 20);
            }
        }
    }
}
