package server

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cipherpoint/handler"
)

// metrics are what GET /metrics shows.
type metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec   // by method and code
	duration    *prometheus.HistogramVec // by method
	received    *prometheus.CounterVec   // by method
	sent        *prometheus.CounterVec   // by method
	inference   prometheus.Histogram
	keyLoad     prometheus.Histogram
	bodyMemory  *budget
	handlerInfo func() *handler.EndpointHandler // nil until the model is loaded
}

// seconds are buckets from half a millisecond to a minute.
var seconds = []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60}

func newMetrics(b *budget, h func() *handler.EndpointHandler) *metrics {
	registry := prometheus.NewRegistry()
	auto := promauto.With(registry)
	m := &metrics{
		registry: registry,
		requests: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cipherpoint_requests_total", Help: "Requests, by method and by code (ok or that of the error).",
		}, []string{"method", "code"}),
		duration: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cipherpoint_request_duration_seconds", Help: "Time from header to reply, by method.", Buckets: seconds,
		}, []string{"method"}),
		received: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cipherpoint_received_bytes_total", Help: "Bytes of request bodies, by method.",
		}, []string{"method"}),
		sent: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "cipherpoint_sent_bytes_total", Help: "Bytes of reply bodies, by method.",
		}, []string{"method"}),
		inference: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cipherpoint_inference_duration_seconds", Help: "Computing time of one encrypted input.", Buckets: seconds,
		}),
		keyLoad: auto.NewHistogram(prometheus.HistogramOpts{
			Name: "cipherpoint_key_load_duration_seconds", Help: "Time to check and expand a key.", Buckets: seconds,
		}),
		bodyMemory: b, handlerInfo: h,
	}
	registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// The counts that the handler keeps itself.
var (
	descReady     = prometheus.NewDesc("cipherpoint_model_loaded", "1 when the model is loaded.", nil, nil)
	descRunning   = prometheus.NewDesc("cipherpoint_running", "Workers in use.", nil, nil)
	descQueue     = prometheus.NewDesc("cipherpoint_queue_length", "Requests that wait for a worker.", nil, nil)
	descKeys      = prometheus.NewDesc("cipherpoint_key_cache_keys", "Expanded keys in memory.", nil, nil)
	descBytes     = prometheus.NewDesc("cipherpoint_key_cache_bytes", "Memory of expanded keys.", nil, nil)
	descHits      = prometheus.NewDesc("cipherpoint_key_cache_hits_total", "Uses of keys in memory.", nil, nil)
	descMisses    = prometheus.NewDesc("cipherpoint_key_cache_misses_total", "Uses of keys not in memory.", nil, nil)
	descEvictions = prometheus.NewDesc("cipherpoint_key_cache_evictions_total", "Keys dropped for lack of memory.", nil, nil)
	descBodies    = prometheus.NewDesc("cipherpoint_body_memory_bytes", "Memory of requests being read or answered.", nil, nil)
)

// Describe is prometheus.Collector's.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descReady, descRunning, descQueue, descKeys, descBytes, descHits, descMisses, descEvictions, descBodies,
	} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descBodies, float64(m.bodyMemory.used.Load()))
	h := m.handlerInfo()
	if h == nil {
		gauge(descReady, 0)
		return
	}
	s := h.Stats()
	gauge(descReady, 1)
	gauge(descRunning, float64(s.Running))
	gauge(descQueue, float64(s.Waiting))
	gauge(descKeys, float64(s.CachedKeys))
	gauge(descBytes, float64(s.CachedBytes))
	count(descHits, s.Hits)
	count(descMisses, s.Misses)
	count(descEvictions, s.Evicted)
}

// observe counts one request.
func (m *metrics) observe(method string, code handler.Code, took time.Duration, received, sent int64) {
	if !slices.Contains(handler.Methods, method) {
		method = "other" // else strangers could make as many time series as they like
	}
	if code == "" {
		code = "ok"
	}
	m.requests.WithLabelValues(method, string(code)).Inc()
	m.duration.WithLabelValues(method).Observe(took.Seconds())
	m.received.WithLabelValues(method).Add(float64(received))
	m.sent.WithLabelValues(method).Add(float64(sent))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
