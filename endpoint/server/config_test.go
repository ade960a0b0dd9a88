package server

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    string
		environ []string
		change  func(*Config)
	}{
		{"nothing", "", []string{"HOME=/nowhere", "PATH=/bin"}, func(*Config) {}},
		{"flags", "--listen 127.0.0.1:0 --model m --keystore redis://h --key-ttl 2h --upload-ttl 3m --max-key-mb 7 " +
			"--workers 3 --queue 4 --key-cache-mb 5 --read-timeout 6s --drain-timeout 0 --tokens-file t " +
			"--log-level debug --log-format json", nil, func(c *Config) {
			*c = Config{
				Listen: "127.0.0.1:0", Model: "m", Keystore: "redis://h", KeyTTL: 2 * time.Hour, UploadTTL: 3 * time.Minute,
				MaxKeyMB: 7, Workers: 3, Queue: 4, KeyCacheMB: 5, ReadTimeout: 6 * time.Second, TokensFile: "t",
				LogLevel: slog.LevelDebug, LogFormat: "json",
			}
		}},
		{"environment", "", []string{"CIPHERPOINT_WORKERS=3", "CIPHERPOINT_KEY_CACHE_MB=5", "CIPHERPOINT_LOG_LEVEL=warn"},
			func(c *Config) { c.Workers, c.KeyCacheMB, c.LogLevel = 3, 5, slog.LevelWarn }},
		{"the flag wins", "--workers 2", []string{"CIPHERPOINT_WORKERS=3"}, func(c *Config) { c.Workers = 2 }},
		{"port", "", []string{"PORT=80"}, func(c *Config) { c.Listen = ":80" }},
		{"port and flag", "--listen :81", []string{"PORT=80"}, func(c *Config) { c.Listen = ":81" }},
		{"listen", "", []string{"CIPHERPOINT_LISTEN=:82"}, func(c *Config) { c.Listen = ":82" }},
		{"tokens", "", []string{"CIPHERPOINT_TOKENS=a,b"}, func(c *Config) { c.Tokens = []string{"a", "b"} }},
		{"not ours", "", []string{"CIPHERPOINT_DATA=/data", "CIPHERPOINT_SERVICE_HOST=10.0.0.1", "CIPHERPOINT_PORT=tcp://10.0.0.1:80",
			"CIPHERPOINT_PORT_80_TCP_ADDR=10.0.0.1"}, func(*Config) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := Defaults()
			tt.change(&want)
			got, err := Parse(strings.Fields(tt.args), tt.environ, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if got.LogValue().String() != want.LogValue().String() || got.LogLevel != want.LogLevel || got.LogFormat != want.LogFormat ||
				strings.Join(got.Tokens, ",") != strings.Join(want.Tokens, ",") || got.TokensFile != want.TokensFile {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestParseStopsTheStart: one clear line for everything that makes no sense.
func TestParseStopsTheStart(t *testing.T) {
	for _, tt := range []struct {
		args    string
		environ []string
		want    string
	}{
		{"--wrokers 3", nil, "flag provided but not defined"},
		{"--workers many", nil, "invalid value"},
		{"serve", nil, `unexpected argument "serve"`},
		{"", []string{"CIPHERPOINT_WROKERS=3"}, "unknown environment variable CIPHERPOINT_WROKERS"},
		{"", []string{"CIPHERPOINT_workers=3"}, "unknown environment variable"},
		{"", []string{"CIPHERPOINT_HELP=1"}, "unknown environment variable"},
		{"", []string{"CIPHERPOINT_WORKERS=many"}, `CIPHERPOINT_WORKERS: invalid value "many"`},
		{"", []string{"CIPHERPOINT_WORKERS="}, "CIPHERPOINT_WORKERS is empty"},
		{"", []string{"CIPHERPOINT_TOKENS="}, "CIPHERPOINT_TOKENS is empty"},
		{"", []string{"PORT=80", "CIPHERPOINT_LISTEN=:81"}, "both PORT and CIPHERPOINT_LISTEN"},
		{"", []string{"PORT=http"}, "no port"},
		{"", []string{"PORT=65536"}, "no port"},
		{"--listen localhost", nil, "not host:port"},
		{"--tokens-file t", []string{"CIPHERPOINT_TOKENS=a"}, "both tokens-file and CIPHERPOINT_TOKENS"},
		{"--workers -1", nil, "workers"},
		{"--queue 0", nil, "queue"},
		{"--key-cache-mb 0", nil, "key-cache-mb"},
		{"--max-key-mb 99999999", nil, "max-key-mb"},
		{"--key-ttl -1s", nil, "key-ttl"},
		{"--upload-ttl 1ms", nil, "upload-ttl"},
		{"--read-timeout 0", nil, "read-timeout"},
		{"--log-level loud", nil, "invalid value"},
		{"--log-format xml", nil, "log-format"},
		{"--model=", nil, "model"},
		{"--keystore=", nil, "keystore"},
	} {
		_, err := Parse(strings.Fields(tt.args), tt.environ, t.Output())
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %v: error %v, want %q", tt.args, tt.environ, err, tt.want)
		}
	}
}

// TestHelp: every flag and its variable are explained.
func TestHelp(t *testing.T) {
	var help bytes.Buffer
	if _, err := Parse([]string{"--help"}, nil, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"-key-ttl", "CIPHERPOINT_KEY_TTL", "CIPHERPOINT_TOKENS", "check-health", "PORT"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("help does not mention %s:\n%s", want, &help)
		}
	}
}

func TestConfigIsLoggedWithoutSecrets(t *testing.T) {
	for _, address := range []string{
		"redis://user:hunter22@host:6379/0", "redis://host?password=hunter22", "redis+cluster://:hunter22@a:1,b:2",
	} {
		var log bytes.Buffer
		c := Defaults()
		c.Keystore, c.Tokens = address, []string{"hunter22hunter22"}
		c.Logger(&log).Info("start", "config", c)
		if strings.Contains(log.String(), "hunter22") || !strings.Contains(log.String(), "config.listen=:8080") {
			t.Errorf("log: %s", &log)
		}
	}
}

func TestTokens(t *testing.T) {
	const one, two = "0123456789abcdef", "fedcba9876543210fedcba"
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(one+"\r\n"+two+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{{Tokens: []string{one, two}}, {TokensFile: file}} {
		accepted, err := newTokens(c)
		if err != nil {
			t.Fatal(err)
		}
		owners := map[string]string{}
		for header, want := range map[string]bool{
			"Bearer " + one: true, "Bearer " + two: true, "bearer " + one: true, "Bearer  " + one: true,
			"": false, "Bearer": false, "Bearer ": false, one: false, "Basic " + one: false,
			"Bearer " + one + "0": false, "Bearer " + one[:15]: false, "Bearer " + one + " " + two: false,
		} {
			owner, ok := accepted.accept(header)
			if ok != want {
				t.Errorf("Authorization %q: accepted is %v", header, !want)
			}
			if ok && owners[owner] == "" {
				owners[owner] = strings.Fields(header)[1]
			}
			if ok && owners[owner] != strings.Fields(header)[1] {
				t.Errorf("two tokens have one owner")
			}
		}
	}
	for _, c := range []Config{
		{Tokens: []string{}}, {Tokens: []string{""}}, {Tokens: []string{one, "short"}}, {TokensFile: file + "s"},
	} {
		if _, err := newTokens(c); err == nil {
			t.Errorf("accepted %q", c.Tokens)
		} else if strings.Contains(err.Error(), "short") && !strings.Contains(err.Error(), "characters") {
			t.Error(err)
		}
	}
}

func TestHealthURL(t *testing.T) {
	for listen, want := range map[string]string{
		":80": "http://127.0.0.1:80/health", "0.0.0.0:80": "http://127.0.0.1:80/health", "[::]:80": "http://127.0.0.1:80/health",
		"10.0.0.1:80": "http://10.0.0.1:80/health", "localhost:1": "http://localhost:1/health",
	} {
		if got := (Config{Listen: listen}).HealthURL(); got != want {
			t.Errorf("%s: %s", listen, got)
		}
	}
}
