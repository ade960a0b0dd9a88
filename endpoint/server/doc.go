// Package server puts a handler on the network: routes, content types, limits, tokens, health, metrics, shutdown.
//
//	config := server.Defaults()
//	config.Listen = "127.0.0.1:0"
//	s, err := server.New(config, slog.Default())
//	go func() { done <- s.Run(ctx) }()
//	<-s.Ready() // or an error from done
//	http.Post(s.URL(), …)
//
// The server listens as soon as New returns; until the model is loaded and the key store answers, it replies 503.
//
// # Dangers
//
// There is no TLS: put a proxy that terminates it in front, since uids and tokens are capabilities. Without tokens
// everybody who reaches the port may store keys and spend processor time.
package server
