package redis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cipherpoint/keystore"
)

// Schemes are the schemes of the addresses that Open takes.
var Schemes = []string{
	"redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel",
}

const (
	defaultPrefix  = "cipherpoint:"
	defaultTimeout = 5 * time.Second
)

// Open makes a store from an address; the connections are made when they are needed.
//
//	redis://[user:password@]host[:6379][/database]
//	redis+cluster://[user:password@]host[:6379][,host[:6379]...]
//	redis+sentinel://[user:password@]host[:26379][,host[:26379]...]/master[/database]
//
// With rediss in place of redis the connections are TLS, those to sentinels included. Some of the nodes of a cluster are
// enough. Options follow as ?name=value&name=value:
//
//	prefix             what the names of all records begin with; default cipherpoint:
//	timeout            for connecting, reading and writing, each; default 5s
//	connections        most connections for each node; default 10 for each CPU
//	ca                 file with the certificates to trust for TLS; default those of the system
//	sentinel_user      account at the sentinels, if they ask for one
//	sentinel_password
//
// Characters that have a meaning in a URL are percent-encoded. An error never contains the address.
func Open(address string, limits keystore.Limits) (*Store, error) {
	limits, err := limits.Complete()
	if err != nil {
		return nil, err
	}
	options, prefix, err := parseAddress(address)
	if err != nil {
		return nil, fmt.Errorf("%w: redis address: %w", keystore.ErrInvalid, err)
	}
	return &Store{client: redis.NewUniversalClient(options), prefix: prefix, limits: limits}, nil
}

// The errors of parseAddress are without the address, since it may hold a password: those of url.Parse are not passed on.
func parseAddress(address string) (*redis.UniversalOptions, string, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found || !slices.Contains(Schemes, scheme) {
		return nil, "", fmt.Errorf("scheme is none of %s", strings.Join(Schemes, ", "))
	}
	scheme, kind, _ := strings.Cut(scheme, "+")

	// The list of hosts is not a part of a URL that url.Parse takes: it sees the other parts.
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	account, hosts := "", authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		account, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse(scheme + "://" + account + "host" + rest[len(authority):])
	if err != nil || u.Fragment != "" {
		return nil, "", fmt.Errorf("not a URL")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, "", fmt.Errorf("not a URL")
	}

	o := &redis.UniversalOptions{
		IsClusterMode:         kind == "cluster",
		ContextTimeoutEnabled: true,
		MaxRetries:            1, // a request should rather fail with 503 than hang for several timeouts
	}
	if o.Addrs, err = parseHosts(hosts, kind); err != nil {
		return nil, "", err
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	if err := parsePath(o, u.Path, kind); err != nil {
		return nil, "", err
	}
	if scheme == "rediss" {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	prefix, err := parseQuery(o, query)
	return o, prefix, err
}

// parseHosts adds the port where there is none.
func parseHosts(list, kind string) ([]string, error) {
	port := "6379"
	if kind == "sentinel" {
		port = "26379"
	}
	hosts := strings.Split(list, ",")
	if kind == "" && len(hosts) > 1 {
		return nil, fmt.Errorf("several hosts need +cluster or +sentinel in the scheme")
	}
	for i, host := range hosts {
		if !strings.Contains(host, ":") || strings.HasSuffix(host, "]") {
			host += ":" + port
		}
		name, number, err := net.SplitHostPort(host)
		if err != nil || name == "" {
			return nil, fmt.Errorf("host %d of %d is not of the form host:port", i+1, len(hosts))
		}
		if _, err := strconv.ParseUint(number, 10, 16); err != nil {
			return nil, fmt.Errorf("port %d of %d is not a number up to 65535", i+1, len(hosts))
		}
		hosts[i] = net.JoinHostPort(name, number)
	}
	return hosts, nil
}

func parsePath(o *redis.UniversalOptions, path, kind string) error {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if kind == "sentinel" {
		if o.MasterName = parts[0]; o.MasterName == "" {
			return fmt.Errorf("name of the master is missing: sentinels are followed by /master")
		}
		parts = parts[1:]
	}
	database := strings.Join(parts, "/")
	if database == "" {
		return nil
	}
	if kind == "cluster" {
		return fmt.Errorf("a cluster has no databases")
	}
	n, err := strconv.ParseUint(database, 10, 16)
	if err != nil {
		return fmt.Errorf("database is not a number")
	}
	o.DB = int(n)
	return nil
}

func parseQuery(o *redis.UniversalOptions, query url.Values) (prefix string, err error) {
	prefix = defaultPrefix
	timeout := defaultTimeout
	for name, values := range query {
		value := values[0]
		if len(values) > 1 {
			return "", fmt.Errorf("option %s is given twice", name)
		}
		switch name {
		case "prefix":
			// Braces would choose the slot in place of the uid.
			if prefix = value; strings.ContainsAny(prefix, "{}") {
				return "", fmt.Errorf("prefix contains a brace")
			}
		case "timeout":
			if timeout, err = time.ParseDuration(value); err != nil || timeout <= 0 {
				return "", fmt.Errorf("timeout is not a duration like 5s")
			}
		case "connections":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil || n == 0 {
				return "", fmt.Errorf("connections is not a number from 1")
			}
			o.PoolSize = int(n)
		case "ca":
			if o.TLSConfig == nil {
				return "", fmt.Errorf("ca needs a scheme that begins with rediss")
			}
			if o.TLSConfig.RootCAs, err = certificates(value); err != nil {
				return "", err
			}
		case "sentinel_user", "sentinel_password":
			if o.MasterName == "" {
				return "", fmt.Errorf("%s needs a scheme that ends with +sentinel", name)
			}
			if name == "sentinel_user" {
				o.SentinelUsername = value
			} else {
				o.SentinelPassword = value
			}
		default:
			return "", fmt.Errorf("unknown option %.20q", name)
		}
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = timeout, timeout, timeout
	return prefix, nil
}

func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the file of ca cannot be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the file of ca holds no certificate")
	}
	return pool, nil
}
