package server

import (
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"cipherpoint/handler"
)

// rates holds every owner to a number of requests a second, with bursts of a few seconds' worth. It knows as many owners
// as there are tokens.
type rates struct {
	perSecond float64 // 0: any
	mu        sync.Mutex
	owners    map[string]*rate.Limiter
}

// burstSeconds of silence let an owner send that many seconds' worth of requests at once.
const burstSeconds = 5

// wait returns how long the owner has to wait for its next request: 0 if it may be answered now.
func (r *rates) wait(owner string) time.Duration {
	if r.perSecond == 0 {
		return 0
	}
	r.mu.Lock()
	limiter := r.owners[owner]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(r.perSecond), int(math.Ceil(burstSeconds*r.perSecond)))
		r.owners[owner] = limiter
	}
	r.mu.Unlock()
	reservation := limiter.Reserve()
	wait := reservation.Delay()
	if wait > 0 {
		reservation.Cancel()
	}
	return wait
}

// limitRate refuses requests that come too fast, before their bodies are read.
func (s *Server) limitRate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if wait := s.rates.wait(exchangeOf(c).owner); wait > 0 {
			c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			return &handler.Error{Code: handler.RateLimited}
		}
		return next(c)
	}
}
