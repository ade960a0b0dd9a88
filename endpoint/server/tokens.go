package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// minToken is the least length of a bearer token: shorter ones can be guessed.
const minToken = 16

// tokens are the digests of the accepted bearer tokens; without any, all requests are accepted.
type tokens [][sha256.Size]byte

// newTokens takes the tokens of the configuration. Its errors name no token.
func newTokens(c Config) (tokens, error) {
	list := c.Tokens
	if c.TokensFile != "" {
		content, err := os.ReadFile(c.TokensFile)
		if err != nil {
			return nil, fmt.Errorf("tokens-file: %w", err)
		}
		list = strings.Split(strings.TrimSpace(string(content)), "\n")
	}
	var accepted tokens
	for i, token := range list {
		if token = strings.TrimSpace(token); len(token) < minToken {
			return nil, fmt.Errorf("token %d of %d has less than %d characters", i+1, len(list), minToken)
		}
		accepted = append(accepted, sha256.Sum256([]byte(token)))
	}
	if c.Tokens != nil && len(accepted) == 0 {
		return nil, errors.New("empty list of tokens")
	}
	return accepted, nil
}

// accept reports whether the value of an Authorization header carries one of the tokens, and the name of its owner for
// the store: a digest, "" where no token is needed. Its time depends on the number of tokens and the length of the header
// only.
func (t tokens) accept(authorization string) (owner string, ok bool) {
	if len(t) == 0 {
		return "", true
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	found := 0
	for _, accepted := range t {
		found |= subtle.ConstantTimeCompare(digest[:], accepted[:])
	}
	if found != 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	// Of a digest, so that the store holds nothing that is compared with.
	name := sha256.Sum256(append([]byte("owner "), digest[:]...))
	return hex.EncodeToString(name[:16]), true
}
