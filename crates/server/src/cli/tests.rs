use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("countersign").chain(line.split_whitespace()))
}

#[test]
fn every_command_describes_itself_and_its_arguments() {
    fn visit(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command
            .get_arguments()
            .filter(|argument| !argument.is_positional())
        {
            let help = argument.get_help().is_some();
            assert!(
                help || argument.get_id() == "email",
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(visit);
    }
    Cli::command().debug_assert();
    visit(&Cli::command());
}

#[test]
fn the_lines_of_the_contract_are_understood() {
    for line in [
        "serve",
        "serve --config c.toml --dev --listen 127.0.0.1:1 --issuer https://a.test",
        "migrate",
        "migrate --json --config c.toml",
        "--json --config c.toml config check",
        "config show",
        "keys list",
        "keys rotate --now --alg ES256 --alg RS256",
        "client create --name N --redirect-uri https://a.test/cb",
        "client create --name N --redirect-uri https://a.test/cb https://b.test/cb --public --native",
        "client create --name N --redirect-uri https://a.test/cb --redirect-uri https://b.test/cb --no-pkce",
        "client update ID",
        "client update ID --public --web --pkce",
        "client trust ID",
        "client secret add ID",
        "client secret list ID",
        "client secret delete ID SECRET_ID",
        "client list",
        "client show ID",
        "client delete ID",
        "client import FILE",
        "resource create --identifier urn:a --alg RS256 --name N --scope a=b",
        "resource create --identifier urn:a --jwks-uri https://a.test/jwks",
        "resource update urn:a --jwks-uri https://a.test/jwks",
        "resource update urn:a --no-keys",
        "resource list",
        "resource secret add urn:a",
        "resource secret list urn:a",
        "resource secret delete urn:a -SECRET_ID",
        "client create --name N --grant-type client_credentials --scope a",
        "resource show urn:a",
        "resource delete urn:a",
        "user create --email a@b.test --name N --password-stdin",
        "user create --email a@b.test --generate-password",
        "user list",
        "user disable ID",
        "user enable ID",
        "user revoke ID",
        "user import FILE",
        "events list",
        "events list --after ID --limit 10",
        // One id in sixty-four.
        "client trust -r4hFQE-pAl6dki2g_kXAg",
        "client update -r4hFQE-pAl6dki2g_kXAg --name N --redirect-uri https://a.test/cb --json",
        "client secret delete --4hFQE-pAl6dki2g_kXAg -secret --json",
        "user disable -h4hFQE-pAl6dki2g_kXAg --config c.toml",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn flags_before_an_id_are_still_flags() {
    let cli = parse("client update --redirect-uri https://a.test/cb --json -r4hFQE").unwrap();
    assert!(cli.json);
    assert!(parse("client show -h").unwrap_err().exit_code() == 0);
}

#[test]
fn what_contradicts_itself_or_is_unknown_is_wrong_use() {
    for line in [
        "",
        "unknown",
        "client",
        "client create",
        "client create --name N",
        "client create --redirect-uri https://a.test/cb",
        "client create --name N --redirect-uri https://a.test/cb --public --no-pkce",
        "client create --name N --redirect-uri https://a.test/cb --public --auth-method none",
        "client create --name N --redirect-uri https://a.test/cb --grant-type password",
        "client create --name N --redirect-uri https://a.test/cb --web",
        "client update ID --pkce --no-pkce",
        "client update ID --native --web",
        "client secret add",
        "client secret delete ID",
        "client show --frobnicate",
        "client show -x",
        "client secret delete ID --frobnicate",
        "user disable --frobnicate=x",
        "keys rotate --alg HS256",
        "keys import",
        "keys rotate --emergency --now",
        "keys rotate --kid K",
        "keys rotate --emergency --kid K --alg ES256",
        "resource create",
        "resource create --identifier urn:a --scope nothing",
        "user create",
        "user create --email a@b.test --password secret",
        "user create --email a@b.test --password-stdin --generate-password",
        "serve --database-url postgres://u:p@h/d",
        "migrate --listen 127.0.0.1:1",
        "events list --limit 0",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}
