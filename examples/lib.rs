//! One-file examples of embedding mailcore. Each is a program
//! (`cargo run --example receive_into_app`) and a test of itself.

#[cfg(test)]
mod tests {
    /// Lines of code that a task may take. What counts is what a reader would
    /// write for it: every line but blank ones, comments, imports, attributes,
    /// lone brackets and the example's tests.
    const BUDGETS: [(&str, &str, usize); 5] = [
        ("receive_into_app", include_str!("receive_into_app.rs"), 15),
        ("notify_from_app", include_str!("notify_from_app.rs"), 10),
        ("full_server", include_str!("full_server.rs"), 30),
        ("custom_storage", include_str!("custom_storage.rs"), 100),
        ("custom_filter", include_str!("custom_filter.rs"), 100),
    ];

    fn lines_of_code(source: &str) -> usize {
        let program = source.split("#[cfg(test)]").next().unwrap_or_default();
        let mut in_import = false;
        let counts = |line: &&str| {
            let line = line.trim();
            if line.starts_with("use ") || in_import {
                in_import = !line.ends_with(';');
                return false;
            }
            let is_prose = line.starts_with("//") || line.starts_with("#[");
            !is_prose && line.contains(char::is_alphanumeric)
        };
        program.lines().filter(counts).count()
    }

    #[test]
    fn each_task_fits_its_budget() {
        for (name, source, budget) in BUDGETS {
            let lines = lines_of_code(source);
            println!("{name}: {lines} of {budget} lines");
            assert!(
                lines <= budget,
                "{name} takes {lines} lines, more than {budget}"
            );
        }
    }
}
