//go:build tools

// Keeps telemetrygen among the requirements of go.mod; it is built by its import path.
package tools

import _ "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
