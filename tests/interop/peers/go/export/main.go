// Sends traces through the stock OpenTelemetry exporters of Go; the plan is the JSON of the first argument (see tests/interop/README.md), the
// last line of output what the SDK was told of each span.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

type planned struct {
	Protocol    string        `json:"protocol"`
	Compression string        `json:"compression"`
	Endpoint    string        `json:"endpoint"`
	First       int           `json:"first"`
	Traces      int           `json:"traces"`
	Bad         int           `json:"bad"`
	Batch       int           `json:"batch"`
	MarkEvery   int           `json:"mark_every"`
	SkipEvery   int           `json:"skip_every"`
	PaceMs      time.Duration `json:"pace_ms"`
	TimeoutS    time.Duration `json:"timeout_s"`
}

// Notes what became of each export, by the marks of its spans.
type told struct {
	trace.SpanExporter
	lock              sync.Mutex
	Spans             int   `json:"spans"`
	Acknowledged      int   `json:"acknowledged"`
	Failed            int   `json:"failed"`
	AcknowledgedMarks []int `json:"acknowledged_marks"`
	FailedMarks       []int `json:"failed_marks"`
}

func (t *told) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		log.Println("export:", err)
	}
	// The exporter tells of a partial success by an error whose type is internal to it.
	final := err != nil && !strings.Contains(err.Error(), "partial success")
	t.lock.Lock()
	defer t.lock.Unlock()
	spanCount, marks := &t.Acknowledged, &t.AcknowledgedMarks
	if final {
		spanCount, marks = &t.Failed, &t.FailedMarks
	}
	*spanCount += len(spans)
	for _, span := range spans {
		seq, marked := 0, false
		for _, pair := range span.Attributes() {
			switch pair.Key {
			case "seq":
				seq = int(pair.Value.AsInt64())
			case "marked":
				marked = pair.Value.AsBool()
			}
		}
		if marked {
			*marks = append(*marks, seq)
		}
	}
	return err
}

type ids struct{ bad bool }

func (i *ids) NewIDs(ctx context.Context) (id api.TraceID, span api.SpanID) {
	for at := range id {
		id[at] = byte(1 + rand.IntN(255))
	}
	return id, i.NewSpanID(ctx, id)
}

func (i *ids) NewSpanID(context.Context, api.TraceID) (id api.SpanID) {
	for at := range id {
		if !i.bad {
			id[at] = byte(1 + rand.IntN(255))
		}
	}
	return id
}

func stockExporter(plan *planned) (trace.SpanExporter, error) {
	if plan.Protocol == "grpc" {
		options := []otlptracegrpc.Option{
			otlptracegrpc.WithEndpoint(plan.Endpoint), otlptracegrpc.WithInsecure(), otlptracegrpc.WithTimeout(plan.TimeoutS * time.Second),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond,
				MaxInterval: 5 * time.Second, MaxElapsedTime: plan.TimeoutS * time.Second})}
		if plan.Compression == "gzip" {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(context.Background(), options...)
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(plan.Endpoint), otlptracehttp.WithInsecure(), otlptracehttp.WithTimeout(plan.TimeoutS * time.Second),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond,
			MaxInterval: 5 * time.Second, MaxElapsedTime: plan.TimeoutS * time.Second})}
	if plan.Compression == "gzip" {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(context.Background(), options...)
}

func send(plan *planned, tracer api.Tracer, generator *ids) (ended int) {
	ctx := context.Background()
	for seq := plan.First; seq < plan.First+plan.Traces; seq++ {
		inside, root := tracer.Start(ctx, "POST /checkout", api.WithSpanKind(api.SpanKindServer),
			api.WithAttributes(attribute.Int("seq", seq), attribute.Bool("marked", seq%plan.MarkEvery == 0)))
		if seq%plan.SkipEvery != 0 {
			_, child := tracer.Start(inside, "payment.charge", api.WithSpanKind(api.SpanKindClient), api.WithAttributes(attribute.Int("seq", seq)))
			child.End()
			ended++
		}
		root.End()
		ended++
		time.Sleep(plan.PaceMs * time.Millisecond)
	}
	generator.bad = true
	for range plan.Bad {
		_, span := tracer.Start(ctx, "bad")
		span.End()
		ended++
	}
	return ended
}

func run() error {
	var plan planned
	if err := json.Unmarshal([]byte(os.Args[1]), &plan); err != nil {
		return err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Println(err) }))
	exporter, err := stockExporter(&plan)
	if err != nil {
		return err
	}
	result, generator := &told{SpanExporter: exporter}, &ids{}
	provider := trace.NewTracerProvider(
		trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "checkout"))), trace.WithIDGenerator(generator),
		trace.WithBatcher(result, trace.WithBatchTimeout(100*time.Millisecond), trace.WithMaxQueueSize(1<<20),
			trace.WithMaxExportBatchSize(plan.Batch), trace.WithExportTimeout(120*time.Second)))
	result.Spans = send(&plan, provider.Tracer("interop"), generator)
	ending, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	flushed, stopped := provider.ForceFlush(ending), provider.Shutdown(ending)
	line, err := json.Marshal(result)
	fmt.Println(string(line))
	return errors.Join(err, flushed, stopped)
}

func main() {
	if err := run(); err != nil {
		log.Println(err)
	}
}
