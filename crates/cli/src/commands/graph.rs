//! `bowline graph`: a workflow as a picture.

use bowline_flow::{graph, load_file};

use crate::args::{GraphArgs, GraphFormat};
use crate::exit::Result;
use crate::wiring::registry;

pub(super) fn run(args: &GraphArgs) -> Result {
    let plan = load_file(&args.file, &registry())?;
    let picture = match args.format {
        GraphFormat::Mermaid => graph::mermaid(&plan),
        GraphFormat::Svg => graph::svg(&plan),
    };
    super::deliver(&picture, args.output.as_deref())
}
