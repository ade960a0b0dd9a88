package server

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"cipherpoint/handler"
	"cipherpoint/keystore"
)

// Prefix begins the names of the environment variables that configure the endpoint: the flag --key-ttl is
// CIPHERPOINT_KEY_TTL.
const Prefix = "CIPHERPOINT_"

// Config is everything that can be chosen about an endpoint. Defaults returns the values that apply otherwise.
type Config struct {
	// Listen is the TCP address to listen on, "host:port"; port 0 takes a free one.
	Listen string
	// Model is the folder of the compiled model.
	Model string
	// Keystore is where evaluation keys are kept: file://DIR, an address of Redis or of a bucket.
	Keystore string
	// KeyTTL is the time since its last use after which a key is removed, 0 for never; UploadTTL the same for an
	// upload that was not finished.
	KeyTTL, UploadTTL time.Duration
	// MaxKeyMB is the largest key that the store takes, in MiB.
	MaxKeyMB int
	// Workers is the number of inferences at one time, 0 for the number of processors that the container may use.
	Workers int
	// Queue is the number of requests that may wait for a worker.
	Queue int
	// KeyCacheMB is the memory for expanded keys, in MiB.
	KeyCacheMB int
	// ReadTimeout is the time that a request may take to arrive.
	ReadTimeout time.Duration
	// DrainTimeout is the time that requests have to end after a signal to stop.
	DrainTimeout time.Duration
	// TokensFile holds the bearer tokens that are accepted, one a line; Tokens holds them themselves. At most one of
	// the two is set; without both, requests need no token.
	TokensFile string
	Tokens     []string
	// KeysPerToken is the number of keys and uploads that a token may have at a time, RequestsPerSecond that of requests
	// that it may send (all together, where no token is needed). 0 means any.
	KeysPerToken      int
	RequestsPerSecond float64
	// LogLevel is the least level that is logged, LogFormat "text" or "json".
	LogLevel  slog.Level
	LogFormat string
}

// workers is the number of inferences at one time.
func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0) // which respects the container's limit
}

// Defaults returns the configuration of an endpoint that was told nothing.
func Defaults() Config {
	return Config{
		Listen:       ":8080",
		Model:        "compiled_model",
		Keystore:     defaultKeystore(),
		KeyTTL:       30 * 24 * time.Hour,
		UploadTTL:    keystore.DefaultUploadLifetime,
		MaxKeyMB:     keystore.DefaultMaxSize >> 20,
		Queue:        handler.DefaultQueue,
		KeyCacheMB:   handler.DefaultKeyCacheBytes >> 20,
		ReadTimeout:  time.Minute,
		DrainTimeout: 30 * time.Second,
		LogFormat:    "text",
	}
}

// defaultKeystore is a folder in the user's cache, or nothing where there is none: then it has to be chosen.
func defaultKeystore() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(cache, "cipherpoint", "keys"))}).String()
}

// flags ties the fields to their names.
func (c *Config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("endpoint", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned; help is printed below
	f.StringVar(&c.Listen, "listen", c.Listen, "`address` to listen on; PORT alone sets its port")
	f.StringVar(&c.Model, "model", c.Model, "`folder` of the compiled model")
	f.StringVar(&c.Keystore, "keystore", c.Keystore, "where keys are kept: file://DIR, redis://…, s3://…, gs://… or azblob://…, `address`")
	f.DurationVar(&c.KeyTTL, "key-ttl", c.KeyTTL, "remove a key that was not used for this `time`; 0 for never")
	f.DurationVar(&c.UploadTTL, "upload-ttl", c.UploadTTL, "remove an unfinished upload after this `time`")
	f.IntVar(&c.MaxKeyMB, "max-key-mb", c.MaxKeyMB, "largest key in `MiB`")
	f.IntVar(&c.Workers, "workers", c.Workers, "`number` of inferences at a time; 0: as many as there are processors")
	f.IntVar(&c.Queue, "queue", c.Queue, "`number` of requests that may wait; further ones are refused (429)")
	f.IntVar(&c.KeyCacheMB, "key-cache-mb", c.KeyCacheMB, "memory for expanded keys in `MiB`")
	f.DurationVar(&c.ReadTimeout, "read-timeout", c.ReadTimeout, "`time` that a request may take to arrive")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", c.DrainTimeout, "`time` that requests have to end at shutdown")
	f.StringVar(&c.TokensFile, "tokens-file", c.TokensFile, "`file` of accepted bearer tokens, one a line")
	f.IntVar(&c.KeysPerToken, "keys-per-token", c.KeysPerToken, "largest `number` of keys of a token, on all endpoints that share the store; 0 for any")
	f.Float64Var(&c.RequestsPerSecond, "requests-per-second", c.RequestsPerSecond, "largest `rate` of requests of a token, or of all without tokens; 0 for any")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "`level`: debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "`format`: text or json")
	f.Usage = func() {} // the flag package calls it on errors too; Parse calls help
	return f
}

// help describes the flags.
func help(f *flag.FlagSet, output io.Writer) {
	fmt.Fprintf(output, "usage: endpoint [flags]\n       endpoint check-health [URL]\n\n"+
		"Each flag is also an environment variable (--key-ttl is %sKEY_TTL); the flag wins.\n"+
		"%sTOKENS holds bearer tokens, separated by commas.\n"+
		"Exit codes: 0 after a signal to stop, 1 on failure, 2 for a wrong configuration.\n\n", Prefix, Prefix)
	f.SetOutput(output)
	f.PrintDefaults()
}

// foreign are variables with our prefix that are not ours to judge: the folder of data sets of tests and benchmarks,
// and what Kubernetes sets for a service that is named like the project.
var foreign = regexp.MustCompile(`^(DATA|SERVICE_.*|PORT|PORT_.*)$`)

// Parse returns the configuration that arguments and environment ("NAME=value") choose, checked. Help goes to output,
// and the error is flag.ErrHelp then.
func Parse(args, environ []string, output io.Writer) (Config, error) {
	c := Defaults()
	f := c.flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			help(f, output)
		}
		return Config{}, err
	}
	if f.NArg() > 0 {
		return Config{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	port, listens := "", false
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if name == "PORT" {
			port = value
		}
		suffix, ours := strings.CutPrefix(name, Prefix)
		if !ours || foreign.MatchString(suffix) {
			continue
		}
		if value == "" {
			return Config{}, fmt.Errorf("%s is empty: give it a value or unset it", name)
		}
		key := strings.ReplaceAll(strings.ToLower(suffix), "_", "-")
		switch {
		case suffix == "TOKENS":
			c.Tokens = strings.Split(value, ",")
			continue
		case suffix != strings.ToUpper(suffix) || f.Lookup(key) == nil:
			return Config{}, fmt.Errorf("unknown environment variable %s", name)
		case given[key]:
			continue
		case key == "listen":
			listens = true
		}
		if err := f.Set(key, value); err != nil {
			return Config{}, fmt.Errorf("%s: invalid value %q", name, value)
		}
	}
	switch {
	case port == "" || given["listen"]:
	case listens:
		return Config{}, fmt.Errorf("both PORT and %sLISTEN are set: choose one", Prefix)
	default:
		c.Listen = ":" + port
	}
	return c, c.check()
}

// check returns an error for a value that makes no sense, or for two that contradict each other.
func (c Config) check() error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q is not host:port", c.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("listen: no port %q", port)
	}
	for _, bound := range []struct {
		name       string
		value      int
		least, top int
	}{
		{"workers", c.Workers, 0, 1 << 12},
		{"queue", c.Queue, 1, 1 << 20},
		{"key-cache-mb", c.KeyCacheMB, 1, 1 << 24},
		{"max-key-mb", c.MaxKeyMB, 1, 1 << 20},
		{"keys-per-token", c.KeysPerToken, 0, 1 << 16},
	} {
		if bound.value < bound.least || bound.value > bound.top {
			return fmt.Errorf("%s: %d is not in %d to %d", bound.name, bound.value, bound.least, bound.top)
		}
	}
	for _, bound := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"key-ttl", c.KeyTTL, 0},
		{"upload-ttl", c.UploadTTL, time.Second},
		{"read-timeout", c.ReadTimeout, time.Millisecond},
		{"drain-timeout", c.DrainTimeout, 0},
	} {
		if bound.value < bound.least {
			return fmt.Errorf("%s: %v is less than %v", bound.name, bound.value, bound.least)
		}
	}
	switch {
	case c.Model == "":
		return errors.New("model: no folder given")
	case c.Keystore == "":
		return errors.New("keystore: no address given, and no folder of the user's to take instead")
	case !(c.RequestsPerSecond >= 0) || c.RequestsPerSecond > 1e6:
		return fmt.Errorf("requests-per-second: %g is not in 0 to 1000000", c.RequestsPerSecond)
	case c.KeysPerToken > 0 && c.TokensFile == "" && c.Tokens == nil:
		return errors.New("keys-per-token: there are no tokens")
	case c.LogFormat != "text" && c.LogFormat != "json":
		return fmt.Errorf("log-format: %q is neither text nor json", c.LogFormat)
	case c.TokensFile != "" && c.Tokens != nil:
		return fmt.Errorf("both tokens-file and %sTOKENS are set: choose one", Prefix)
	}
	return nil
}

// Logger returns the logger that the configuration asks for.
func (c Config) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// LogValue is the configuration without its secrets.
func (c Config) LogValue() slog.Value {
	tokens := "none"
	if c.TokensFile != "" || c.Tokens != nil {
		tokens = "[redacted]"
	}
	return slog.GroupValue(
		slog.String("listen", c.Listen),
		slog.String("model", c.Model),
		slog.String("keystore", redacted(c.Keystore)),
		slog.Duration("key_ttl", c.KeyTTL),
		slog.Duration("upload_ttl", c.UploadTTL),
		slog.Int("max_key_mb", c.MaxKeyMB),
		slog.Int("workers", c.Workers),
		slog.Int("queue", c.Queue),
		slog.Int("key_cache_mb", c.KeyCacheMB),
		slog.Duration("read_timeout", c.ReadTimeout),
		slog.Duration("drain_timeout", c.DrainTimeout),
		slog.String("tokens", tokens),
		slog.Int("keys_per_token", c.KeysPerToken),
		slog.Float64("requests_per_second", c.RequestsPerSecond),
	)
}

// redacted returns an address without its user and its parameters, either of which may hold a password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "[unreadable]"
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	if u.RawQuery != "" {
		u.RawQuery = "redacted"
	}
	return u.String()
}
