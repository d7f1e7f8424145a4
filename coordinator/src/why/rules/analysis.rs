//! What Spark says of a query: before it runs (a name that does not exist) and while it runs (a value that does not fit).

use super::super::{Case, Found, Rule};
use super::{between, quoted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "column-missing",
        find: column,
    },
    Rule {
        name: "table-missing",
        find: table,
    },
    Rule {
        name: "function-missing",
        find: function,
    },
    Rule {
        name: "sql-syntax",
        find: syntax,
    },
    Rule {
        name: "source-missing",
        find: source,
    },
    Rule {
        name: "bad-value",
        find: value,
    },
    Rule {
        name: "broadcast-timeout",
        find: broadcast,
    },
    Rule {
        name: "shuffle-lost",
        find: fetch,
    },
    Rule {
        name: "type-mismatch",
        find: types,
    },
    Rule {
        name: "query-invalid",
        find: query,
    },
];

/// The condition, if it is one of these.
fn of<'a>(case: &'a Case<'_>, any: &[&str]) -> Option<&'a str> {
    let condition = case.said.condition().filter(|_| case.job_failed())?;
    any.iter()
        .any(|one| condition.starts_with(one))
        .then_some(condition)
}

fn told(case: &Case<'_>, condition: &str, sentence: String) -> Found {
    let place = case.driver_place();
    Found::new(format!("{sentence}{}", Case::shown(place.as_ref())))
        .at(place)
        .because(case.output_with(&[condition]))
}

/// The name in backquotes, which Spark puts around each of its parts.
fn name(case: &Case<'_>, condition: &str) -> Option<String> {
    let line = case.said.line_with(&[condition])?;
    let rest = line.get(line.find('`')?..)?;
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    let name = rest.get(..end)?.trim_end_matches('.').replace('`', "");
    (!name.is_empty()).then_some(name)
}

fn column(case: &Case<'_>) -> Option<Found> {
    let condition = of(
        case,
        &[
            "UNRESOLVED_COLUMN",
            "FIELD_NOT_FOUND",
            "UNRESOLVED_FIELD",
            "UNRESOLVED_MAP_KEY",
            "COLUMN_NOT_FOUND",
            "UNRESOLVED_USING_COLUMN_FOR_JOIN",
        ],
    )?;
    let name = name(case, condition).unwrap_or_default();
    let mut found = told(case, condition, format!("there is no column {name}"));
    if let Some(near) = case
        .said
        .line_with(&[condition])
        .and_then(|line| between(line, "Did you mean one of the following? [", "]"))
    {
        found = found.change(format!("there are {}", near.replace('`', "")));
    }
    Some(found.change("look at df.printSchema() just before that line"))
}

fn table(case: &Case<'_>) -> Option<Found> {
    let condition = of(
        case,
        &["TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND"],
    )?;
    let name = name(case, condition).unwrap_or_default();
    Some(
        told(case, condition, format!("there is no table or view {name}"))
            .change("a run has a catalog of its own, empty at first: createOrReplaceTempView makes a name for a data frame"),
    )
}

fn function(case: &Case<'_>) -> Option<Found> {
    let condition = of(
        case,
        &["UNRESOLVED_ROUTINE", "ROUTINE_NOT_FOUND", "WRONG_NUM_ARGS"],
    )?;
    let name = name(case, condition).unwrap_or_default();
    Some(
        told(
            case,
            condition,
            format!("there is no function {name} that can be called so"),
        )
        .change("spark.udf.register gives SQL a function of Python"),
    )
}

fn syntax(case: &Case<'_>) -> Option<Found> {
    let condition = of(
        case,
        &[
            "PARSE_SYNTAX_ERROR",
            "PARSE_EMPTY_STATEMENT",
            "INVALID_SQL_SYNTAX",
        ],
    )?;
    let near = case
        .said
        .line_with(&[condition])
        .and_then(|line| quoted(line, '\''))
        .map(|near| format!(" at or near '{near}'"));
    Some(told(
        case,
        condition,
        format!("a text is not SQL{}", near.unwrap_or_default()),
    ))
}

fn source(case: &Case<'_>) -> Option<Found> {
    let condition = of(case, &["DATA_SOURCE_NOT_FOUND"])?;
    let line = case.said.line_with(&[condition]).unwrap_or_default();
    let name = between(line, "data source: ", ". ").unwrap_or("that name");
    Some(
        told(case, condition, format!("no library reads or writes the format {name}"))
            .change("name its package with spark: {conf: {spark.jars.packages: group:name:version}}, for the Scala version of this Spark"),
    )
}

fn value(case: &Case<'_>) -> Option<Found> {
    let any = [
        "CAST_INVALID_INPUT",
        "CAST_OVERFLOW",
        "DIVIDE_BY_ZERO",
        "REMAINDER_BY_ZERO",
        "ARITHMETIC_OVERFLOW",
        "BINARY_ARITHMETIC_OVERFLOW",
        "INVALID_ARRAY_INDEX",
        "NUMERIC_VALUE_OUT_OF_RANGE",
        "CANNOT_PARSE_TIMESTAMP",
        "SCALAR_SUBQUERY_TOO_MANY_ROWS",
        "NOT_NULL_ASSERT_VIOLATION",
        "EXPECT_",
        "INTERVAL_ARITHMETIC_OVERFLOW",
        "CONVERSION_INVALID_INPUT",
    ];
    let condition = of(case, &any)?;
    let line = case.said.line_with(&[condition]).unwrap_or_default();
    let what = line.split_once("] ").map_or(line, |(_, what)| what);
    let what = what.split(". ").next().unwrap_or(what).trim();
    Some(
        told(case, condition, format!("a value does not fit what the query does with it: {what}"))
            .change("try_cast, try_divide and their like give NULL instead of an error; spark.sql.ansi.enabled: \"false\" does so everywhere"),
    )
}

fn broadcast(case: &Case<'_>) -> Option<Found> {
    let marks = ["Could not execute broadcast in"];
    case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.driver_place();
    Some(
        Found::new(format!("the smaller side of a join was not ready in time to be sent to all executors{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("raise spark.sql.broadcastTimeout, or turn such joins off with spark.sql.autoBroadcastJoinThreshold: \"-1\""),
    )
}

fn fetch(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "FetchFailed",
        "MetadataFetchFailedException",
        "missing output location for shuffle",
    ];
    case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.driver_place();
    Some(
        Found::new(format!("what one stage had written for the next was lost, more often than Spark makes it again{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("executors that die under load are the usual reason: look at their memory, and make tasks smaller with more partitions"),
    )
}

fn types(case: &Case<'_>) -> Option<Found> {
    let condition = of(
        case,
        &[
            "DATATYPE_MISMATCH",
            "CANNOT_UP_CAST_DATATYPE",
            "NUM_COLUMNS_MISMATCH",
            "INCOMPATIBLE_COLUMN_TYPE",
            "FIELD_DATA_TYPE_UNACCEPTABLE",
            "CANNOT_MERGE",
            "CANNOT_ACCEPT_OBJECT_IN_TYPE",
            "FIELD_STRUCT_LENGTH_MISMATCH",
            "CANNOT_DETERMINE_TYPE",
            "UNEXPECTED_INPUT_TYPE",
            "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH",
        ],
    )?;
    let line = case.said.line_with(&[condition]).unwrap_or_default();
    let what = line.split_once("] ").map_or(line, |(_, what)| what).trim();
    Some(
        told(case, condition, format!("types do not fit each other: {what}"))
            .change("cast the columns, or give the schema when reading or creating the data frame"),
    )
}

/// Any other that Spark finds before it runs something.
fn query(case: &Case<'_>) -> Option<Found> {
    let outer = case
        .said
        .outer()
        .filter(|t| matches!(t.name(), "AnalysisException" | "ParseException") && case.job_failed())?;
    let place = outer.place();
    Some(
        Found::new(format!(
            "Spark refuses a query{}: {}",
            Case::shown(place.as_ref()),
            outer.headline()
        ))
        .at(place)
        .because(case.traced(outer)),
    )
}
