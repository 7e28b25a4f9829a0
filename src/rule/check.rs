//! Names and types of one rule against the catalogue.
use super::ast::Expr;
use super::diagnostic::Finding;
use crate::event::Catalogue;

/// Everything wrong or doubtful in a rule.
pub fn check(_expr: &Expr, _catalogue: &Catalogue) -> Vec<Finding> {
    Vec::new()
}
