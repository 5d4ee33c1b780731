//! `bowline schema`: JSON Schemas for editors.

use bowline_flow::language_schema;
use bowline_testing::mocks_schema;

use crate::args::SchemaArgs;
use crate::exit::Result;
use crate::wiring::registry;

pub(super) fn run(args: &SchemaArgs) -> Result {
    let schema = if args.mocks {
        mocks_schema()
    } else {
        language_schema(&registry())
    };
    super::deliver(&format!("{schema:#}\n"), args.output.as_deref())
}
