//! The selector parser: values, errors that point, fuzzing.

use proptest::prelude::*;
use tsdb_core::{MatchOp, Matcher, parse_selector, write_selector};

/// The matchers of a selector as text.
fn parsed(input: &str) -> String {
    match parse_selector(input) {
        Ok(matchers) => matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn selectors_and_their_matchers() {
    let cases = [
        ("{}", ""),
        (" { } ", ""),
        ("up", r#"__name__="up""#),
        ("up{}", r#"__name__="up""#),
        (":job:rate5m", r#"__name__=":job:rate5m""#),
        // Words of the query language are names here.
        ("on", r#"__name__="on""#),
        ("nan{by='x'}", r#"__name__="nan" by="x""#),
        (r#"up{a="b",c!="d",e=~"f|g",h!~"i.*"}"#, r#"__name__="up" a="b" c!="d" e=~"f|g" h!~"i.*""#),
        (r#"{a="b",}"#, r#"a="b""#),
        ("\t up\r\n {\n a = 'b' , }\n", r#"__name__="up" a="b""#),
        ("up # the metric\n{ # open\n a='b' # }\n} # done", r#"__name__="up" a="b""#),
        (r##"{a="#"}"##, r##"a="#""##),
        // Quoted names.
        (r#"{"my.metric"}"#, r#"__name__="my.metric""#),
        (r#"{"my.metric", "l.x"="v"}"#, r#"__name__="my.metric" "l.x"="v""#),
        (r#"{'l.x'=~'v', `my.metric`,}"#, r#""l.x"=~"v" __name__="my.metric""#),
        (r#"{"up"}"#, r#"__name__="up""#),
        (r#"{"a"="b"}"#, r#"a="b""#),
        (r#"{""}"#, r#"__name__="""#),
        // Several matchers on one name are an intersection; inside the braces that holds for the metric name, too.
        (r#"{a="1",a!="2"}"#, r#"a="1" a!="2""#),
        (r#"{__name__=~"a.*",__name__!="ab"}"#, r#"__name__=~"a.*" __name__!="ab""#),
        (r#"{"a","b"}"#, r#"__name__="a" __name__="b""#),
        // Values.
        (r#"{a=""}"#, r#"a="""#),
        (r#"{a="\a\b\f\n\r\t\v\\\""}"#, r#"a="\u0007\u0008\u000c\n\r\t\u000b\\\"""#),
        (r#"{a='\'"'}"#, r#"a="'\"""#),
        (r#"{a="'"}"#, r#"a="'""#),
        (r#"{a="\x41\101\u00e9\U0001F600"}"#, r#"a="AAé😀""#),
        (r#"{a="\xc3\xa9\303\251"}"#, r#"a="éé""#),
        ("{a=`\\d\n\"'`}", r#"a="\\d\n\"'""#),
        (r#"{a="é😀"}"#, r#"a="é😀""#),
        ("{a='b\u{fffd}'}", "a=\"b\u{fffd}\""),
    ];
    for (input, expected) in cases {
        assert_eq!(parsed(input), expected, "{input}");
    }
}

#[test]
fn errors_point_at_the_place() {
    let cases = [
        ("", 0, "expected a metric name or '{', found the end"),
        ("  # nothing\n", 12, "expected a metric name or '{', found the end"),
        ("1up", 0, "a metric name starts with a letter"),
        ("my.metric", 2, r#"{"my.name"}"#),
        ("é", 0, "expected a metric name or '{', found 'é'"),
        ("up{", 3, "expected a label name, a quoted name or '}', found the end"),
        ("up{a", 4, "expected '=', '!=', '=~' or '!~', found the end"),
        ("up{a}", 4, "expected '=', '!=', '=~' or '!~', found '}'"),
        ("up{a=", 5, "expected a quoted value, found the end"),
        ("up{a=b}", 5, "expected a quoted value, found 'b'"),
        ("up{a=1}", 5, "expected a quoted value"),
        ("up{a=='b'}", 5, "expected a quoted value, found '='"),
        ("up{a!b}", 4, "expected '=', '!=', '=~' or '!~', found '!'"),
        ("up{a='b'", 8, "expected ',' or '}', found the end"),
        ("up{a='b' c='d'}", 9, "expected ',' or '}', found 'c'"),
        ("up{,}", 3, "expected a label name"),
        ("up{a='b',,}", 9, "expected a label name"),
        ("up{1a='b'}", 3, "a label name starts with a letter"),
        ("up{a:b='c'}", 4, "found ':'"),
        ("up{''='c'}", 3, "a label name is empty"),
        ("up{a='b'}[5m]", 9, "the end (a selector has no range, offset or function), found '['"),
        ("up{a='b'} offset 5m", 10, "found 'o'"),
        ("up{a='b'}}", 9, "found '}'"),
        ("up down", 3, "expected '{' or the end"),
        ("up{\"x\" \"y\"}", 7, "expected '=', '!=', '=~' or '!~', found '\"'"),
        // The name twice.
        ("up{__name__='x'}", 3, "given twice"),
        ("up{a='b', __name__=~'.*'}", 10, "given twice"),
        ("up{'x'}", 3, "given twice"),
        // Strings.
        ("{a='b}", 3, "the string is not closed"),
        ("{a=`b}", 3, "the string is not closed"),
        ("{a='b\nc'}", 5, "not closed in its line"),
        (r"{a='\", 4, "the string is not closed"),
        (r"{a='\d'}", 4, "unknown escape"),
        (r#"{a='\"'}"#, 4, "unknown escape"),
        (r"{a='é\é'}", 6, "unknown escape"),
        (r"{a='\x4'}", 4, "too few digits"),
        (r"{a='\u12é'}", 4, "too few digits"),
        (r"{a='\9'}", 4, "unknown escape"),
        (r"{a='\18'}", 4, "too few digits"),
        (r"{a='\400'}", 4, "\\377"),
        (r"{a='\ud800'}", 4, "no Unicode character"),
        (r"{a='\U00110000'}", 4, "no Unicode character"),
        (r"{a='\xff'}", 3, "do not make UTF-8"),
        // Patterns.
        ("{a='b', c=~'('}", 11, "invalid pattern: missing closing ): `(`"),
        ("{a!~'x**'}", 4, "invalid pattern: invalid nested repetition operator: `**`"),
    ];
    for (input, offset, reason) in cases {
        let error = parse_selector(input).expect_err(input);
        assert!(error.reason().contains(reason), "{input}: {}", error.reason());
        assert_eq!(error.offset(), offset, "{input}: {}", error.reason());
    }
}

#[test]
fn the_message_shows_the_line_and_a_caret() {
    let text = |input: &str| parse_selector(input).unwrap_err().to_string();
    assert_eq!(
        text("up{job 'é'}"),
        "invalid selector at column 8: expected '=', '!=', '=~' or '!~', found '''\n  up{job 'é'}\n         ^"
    );
    assert_eq!(
        text("up{\n\té='x'\r\n}"),
        "invalid selector at line 2, column 2: expected a label name, a quoted name or '}', found 'é'\n   é='x'\n   ^"
    );
    // A long line is cut around the place.
    let long = format!("{{a='{}' b='{}'}}", "x".repeat(500), "y".repeat(500));
    let message = text(&long);
    let lines: Vec<&str> = message.lines().collect();
    assert!(
        lines[1].starts_with("  ...xx") && lines[1].ends_with("yy...") && lines[1].len() < 140,
        "{message}"
    );
    assert_eq!(lines[1].chars().nth(lines[2].chars().count() - 1), Some('b'));
}

#[test]
fn a_selector_of_megabytes_parses() {
    let value = "v".repeat(1 << 20);
    assert_eq!(parse_selector(&format!("{{a='{value}'}}")).unwrap()[0].value(), value);
    let many: Vec<String> = (0..50_000).map(|i| format!("l{i}='v'")).collect();
    assert_eq!(parse_selector(&format!("up{{{}}}", many.join(","))).unwrap().len(), 50_001);
    assert!(parse_selector(&"{".repeat(1 << 20)).is_err());
    assert!(parse_selector(&"#\n".repeat(1 << 19)).is_err());
}

fn op() -> impl Strategy<Value = MatchOp> {
    prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name =
        prop_oneof!["[a-z_]{1,3}", any::<String>().prop_filter("names are not empty", |n| !n.is_empty())];
    let value = prop_oneof!["[a-z.*|]{0,4}", any::<String>()];
    (op(), name, value).prop_map(|(op, name, value)| match Matcher::new(op, &name, &value) {
        Ok(matcher) => matcher,
        Err(_) => Matcher::equal(&name, &value),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_back(matchers in prop::collection::vec(matcher(), 0..4)) {
        prop_assert_eq!(parse_selector(&write_selector(&matchers)).unwrap(), matchers);
    }

    #[test]
    fn random_text_is_read_or_refused_inside_of_it(input in any::<String>()) {
        check_total(&input);
    }

    #[test]
    fn random_tokens_are_read_or_refused(tokens in prop::collection::vec(token(), 0..14)) {
        check_total(&tokens.concat());
    }

    #[test]
    fn mutated_selectors_are_read_or_refused(
        seed in prop::sample::select(SEEDS),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3usize, any::<char>()), 1..4),
    ) {
        let mut chars: Vec<char> = seed.chars().collect();
        for (at, kind, c) in edits {
            let at = at.index(chars.len() + 1);
            match kind {
                0 => chars.insert(at, c),
                1 if at < chars.len() => { chars.remove(at); }
                _ => chars.truncate(at),
            }
        }
        check_total(&chars.into_iter().collect::<String>());
    }
}

const SEEDS: &[&str] = &[
    r#"http_requests_total{job="api", code=~"5..|4\\d\\d", zone!="", pod!~`x.*`}"#,
    r#"{"my.metric", "l.x"="v", 'y'='\x41\u00e9\U0001F600\101'} # end"#,
    "{__name__=~\"a|b\",\n c='[[:alpha:]&&--]+{3}\\\\pL' }",
];

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "{", "}", ",", "=", "!=", "=~", "!~", "\"", "'", "`", "#", "\n", " ", "\\", "\\x", "\\u", "a",
            "1", "(", ")", "[", "]", "*", "é", "__name__", "\"a\"", "'.*'",
        ])
        .prop_map(str::to_owned),
        "[a-z\\\\]{0,3}",
    ]
}

/// No panic; what is accepted reads back; what is refused is refused at a character of the input.
fn check_total(input: &str) {
    match parse_selector(input) {
        Ok(matchers) => {
            let text = matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            assert_eq!(parse_selector(&format!("{{{text}}}")).expect("what is written reads back"), matchers);
        }
        Err(error) => {
            assert!(input.is_char_boundary(error.offset()) && !error.reason().is_empty());
            assert_eq!(error.to_string().lines().count(), 3, "{error}");
        }
    }
}
