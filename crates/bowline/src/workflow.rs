//! Workflows: async functions with typed input and output, under a name and a version.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use bowline_core::{Context as CoreContext, Path, Payload, Program, StepError};
use bowline_engine::{Migration, Programs};
use bowline_store::Definition;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Context, Error, Result, value};

/// The name of a workflow with the types of its input and output, so that starting one is checked by the
/// compiler. Text becomes one where the types are known from elsewhere.
///
/// ```
/// use bowline::WorkflowName;
/// const GREET: WorkflowName<String, String> = WorkflowName::new("greet");
/// assert_eq!(GREET.as_str(), "greet");
/// ```
pub struct WorkflowName<I, O> {
    name: Cow<'static, str>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> WorkflowName<I, O> {
    /// A name.
    ///
    /// ```
    /// let name: bowline::WorkflowName<(), u32> = bowline::WorkflowName::new("count");
    /// # let _ = name;
    /// ```
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            types: PhantomData,
        }
    }

    /// The name as text.
    ///
    /// ```
    /// assert_eq!(bowline::WorkflowName::<(), ()>::new("count").as_str(), "count");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl<I, O> Clone for WorkflowName<I, O> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            types: PhantomData,
        }
    }
}

impl<I, O> std::fmt::Debug for WorkflowName<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(f)
    }
}

impl<I, O> From<&str> for WorkflowName<I, O> {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
}

impl<I, O> From<String> for WorkflowName<I, O> {
    fn from(name: String) -> Self {
        Self {
            name: Cow::Owned(name),
            types: PhantomData,
        }
    }
}

impl<I, O> From<&Workflow<I, O>> for WorkflowName<I, O> {
    fn from(workflow: &Workflow<I, O>) -> Self {
        workflow.erased.name.as_ref().into()
    }
}

/// A workflow: an async function from a typed input to a typed output, with a name and a version.
///
/// ```
/// use bowline::{testing, Bowline, Context, Workflow};
///
/// async fn greet(ctx: Context, name: String) -> bowline::Result<String> {
///     let greeting = ctx.step("look up").run(|_| async { Ok("Good morning".to_owned()) });
///     Ok(format!("{}, {name}", greeting.await?))
/// }
///
/// # testing::block_on(async {
/// let greet = Workflow::new("greet", greet);
/// let world = testing::World::new(Bowline::builder().workflow(&greet)).await?;
/// assert_eq!(world.run(&greet, "Ada".to_owned()).await?, "Good morning, Ada");
/// # Ok(())
/// # });
/// ```
///
/// Types are checked where a workflow is started, so this does not compile:
///
/// ```compile_fail
/// # use bowline::{Bowline, Context, Workflow};
/// # async fn start(bowline: Bowline) {
/// let greet = Workflow::new("greet", |_: Context, name: String| async move { Ok(name) });
/// bowline.start(&greet, 5);
/// # }
/// ```
///
/// The function may run many times for one execution: again from the top after a crash, or when the execution
/// comes back into memory. It must therefore do the same each time it is given the same results; `docs/rust.md`
/// lists what to avoid.
pub struct Workflow<I, O> {
    pub(crate) erased: Arc<Erased>,
    types: PhantomData<fn(I) -> O>,
}

/// A workflow whose types are checked at run time.
pub(crate) struct Erased {
    pub(crate) name: Path,
    pub(crate) version: Path,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) check: fn(&Payload, &str) -> Result<()>,
}

impl<I, O> Clone for Workflow<I, O> {
    fn clone(&self) -> Self {
        Self {
            erased: Arc::clone(&self.erased),
            types: PhantomData,
        }
    }
}

impl<I, O> std::fmt::Debug for Workflow<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Workflow({} version {})", self.erased.name, self.erased.version)
    }
}

impl<I, O> Workflow<I, O>
where
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
{
    /// A workflow of version `1`. What the function needs, such as services, it captures.
    ///
    /// ```
    /// # use bowline::{Context, Workflow};
    /// let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// ```
    pub fn new<F, Fut>(name: impl Into<WorkflowName<I, O>>, run: F) -> Self
    where
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        let name: Path = name.into().name.as_ref().into();
        let of: Path = Arc::clone(&name);
        let run = Arc::new(run);
        let program = move |core: CoreContext, input: Payload| {
            let (run, of) = (Arc::clone(&run), Arc::clone(&of));
            // The runtime must not make a channel between two branches wait for its own reasons.
            tokio::task::unconstrained(async move {
                let input = read_input(&input, &of).map_err(Error::into_step_error)?;
                let output = run(Context::new(core), input).await.map_err(Error::into_step_error)?;
                value::write(&output, "workflow.output", &format!("the result of workflow `{of}`"))
                    .map_err(Error::into_step_error)
            })
        };
        Self {
            erased: Arc::new(Erased {
                name,
                version: "1".into(),
                program: Arc::new(program),
                check: |input, name| read_input::<I>(input, name).map(drop),
            }),
            types: PhantomData,
        }
    }

    /// A workflow of version `1` whose function takes something besides its input, such as its services.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bowline::{testing, Bowline, Context, Workflow};
    /// struct Services { greeting: String }
    ///
    /// async fn greet(_ctx: Context, services: Arc<Services>, name: String) -> bowline::Result<String> {
    ///     Ok(format!("{} {name}", services.greeting))
    /// }
    ///
    /// # testing::block_on(async {
    /// let greet = Workflow::with("greet", Arc::new(Services { greeting: "Hei".into() }), greet);
    /// let world = testing::World::new(Bowline::builder().workflow(&greet)).await?;
    /// assert_eq!(world.run(&greet, "Ada".to_owned()).await?, "Hei Ada");
    /// # Ok(())
    /// # });
    /// ```
    pub fn with<S, F, Fut>(name: impl Into<WorkflowName<I, O>>, state: S, run: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(Context, S, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        Self::new(name, move |context, input| run(context, state.clone(), input))
    }

    /// The same workflow under another version. An execution stays on the version that it began on, so give a new
    /// one to code that would not replay the old journals, and keep the old code as a former version for as
    /// long as executions of it run (see [`Builder::former`](crate::Builder::former)). For small changes there
    /// is [`Context::version`].
    ///
    /// ```
    /// # use bowline::{Context, Workflow};
    /// let greet = Workflow::new("greet", |_: Context, (): ()| async { Ok(()) }).version("2024-06");
    /// assert_eq!(format!("{greet:?}"), "Workflow(greet version 2024-06)");
    /// ```
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        let Erased {
            name, program, check, ..
        } = &*self.erased;
        Self {
            erased: Arc::new(Erased {
                name: Arc::clone(name),
                version: version.into(),
                program: Arc::clone(program),
                check: *check,
            }),
            types: PhantomData,
        }
    }
}

fn read_input<I: DeserializeOwned>(input: &Payload, workflow: &str) -> Result<I> {
    value::read(input, "workflow.input", &format!("the input of workflow `{workflow}`"))
}

/// What a definition of a workflow in Rust says: the code itself is in the program.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    rust: Named,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    workflow: String,
    version: String,
}

impl Erased {
    pub(crate) fn definition(&self) -> Result<Definition> {
        let content = Content {
            rust: Named {
                workflow: self.name.to_string(),
                version: self.version.to_string(),
            },
        };
        let content = serde_json::to_vec(&content)?;
        let hash = Sha256::digest(&content).iter().fold(String::new(), |mut hash, byte| {
            use std::fmt::Write as _;
            // Writing to text does not fail.
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        Ok(Definition {
            hash,
            workflow: self.name.to_string(),
            content: content.into(),
        })
    }
}

/// The workflows that a process knows.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    /// By name and version.
    all: BTreeMap<(Path, Path), Arc<Erased>>,
    /// What a start means.
    current: BTreeMap<Path, Arc<Erased>>,
}

impl Registry {
    /// False where there is one of that name and version.
    pub(crate) fn add(&mut self, workflow: &Arc<Erased>, current: bool) -> Result<(), String> {
        let key = (Arc::clone(&workflow.name), Arc::clone(&workflow.version));
        if self.all.insert(key, Arc::clone(workflow)).is_some() {
            return Err(format!(
                "workflow `{}` version `{}` is registered twice; give one of them another version",
                workflow.name, workflow.version
            ));
        }
        if current {
            let before = self.current.insert(Arc::clone(&workflow.name), Arc::clone(workflow));
            if let Some(before) = before {
                return Err(format!(
                    "workflow `{}` is registered as version `{}` and as version `{}`; register the older one as a former version",
                    workflow.name, before.version, workflow.version
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn current(&self, name: &str) -> Result<&Arc<Erased>> {
        self.current.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.current.keys().map(AsRef::as_ref).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            Error::permanent(
                "workflow.unregistered",
                format!("no workflow `{name}` is registered (there is: {known}); register it with Builder::workflow"),
            )
        })
    }

    pub(crate) fn exact(&self, definition: &Definition) -> Result<&Arc<Erased>> {
        let name = &definition.workflow;
        let content: Content = serde_json::from_slice(&definition.content).map_err(|_| {
            Error::permanent(
                "workflow.not-rust",
                format!("workflow `{name}` was not written in Rust; run it with the program that started it"),
            )
        })?;
        let version = content.rust.version;
        let key = (Path::from(content.rust.workflow), Path::from(version.as_str()));
        self.all.get(&key).ok_or_else(|| {
            Error::permanent(
                "workflow.unregistered",
                format!(
                    "workflow `{name}` version `{version}` is not registered; register it with Builder::former for as long as executions of it run"
                ),
            )
        })
    }
}

impl Programs for Registry {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let workflow = self.exact(definition).map_err(Error::into_step_error)?;
        Ok(Arc::clone(&workflow.program))
    }

    fn migrate(&self, _: &str, _: &Definition, new: &Definition) -> Result<Migration, StepError> {
        // What the new code does not ask for again is not needed; only the code knows.
        self.exact(new).map_err(Error::into_step_error)?;
        Ok(Migration {
            keep: Arc::new(|_| true),
            missing: Arc::new(|_| false),
        })
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        self.current(workflow)
            .and_then(|workflow| workflow.definition())
            .map_err(Error::into_step_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(version: &str) -> Workflow<u32, u32> {
        Workflow::new("w", |_: Context, n: u32| async move { Ok(n) }).version(version)
    }

    #[test]
    fn a_definition_leads_back_to_its_version() {
        let mut registry = Registry::default();
        registry.add(&workflow("2").erased, true).unwrap();
        registry.add(&workflow("1").erased, false).unwrap();
        let (one, two) = (
            workflow("1").erased.definition().unwrap(),
            registry
                .child("default", &workflow("1").erased.definition().unwrap(), "w")
                .unwrap(),
        );
        assert_ne!(one.hash, two.hash);
        assert_eq!(&*registry.exact(&one).unwrap().version, "1");
        assert_eq!(&*registry.exact(&two).unwrap().version, "2");
        let three = workflow("3").erased.definition().unwrap();
        let error = registry.load("default", &three).err().unwrap();
        assert_eq!(error.code, "workflow.unregistered");
        assert!(error.message.contains("version `3`"), "{error}");
    }

    #[test]
    fn two_of_a_kind_are_refused() {
        let mut registry = Registry::default();
        registry.add(&workflow("1").erased, true).unwrap();
        assert!(
            registry
                .add(&workflow("1").erased, false)
                .unwrap_err()
                .contains("twice")
        );
        assert!(
            registry
                .add(&workflow("2").erased, true)
                .unwrap_err()
                .contains("former")
        );
    }
}
