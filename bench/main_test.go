package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestFiguresOfARecipe(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out bytes.Buffer
	if err := run(context.Background(), []string{"--recipes", "logreg-cancer", "--samples", "3", "--json", "-"}, &out, null); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	row := rows[0]
	for _, field := range strings.Fields(`recipe samples accuracy_clear accuracy_encrypted agreement max_score_error security_bits log_n log_qp levels
		keys key_bytes request_bytes reply_bytes keygen_ms encrypt_ms server_ms_one_core server_ms_all_cores decrypt_ms cold_start_ms rss_mb`) {
		if _, there := row[field]; !there {
			t.Errorf("no field %s", field)
		}
		delete(row, field)
	}
	if len(row) > 0 {
		t.Errorf("further fields %v", row)
	}
	var figures []Row
	if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
		t.Fatal(err)
	}
	r := figures[0]
	if r.Samples != 3 || r.Agreement != 1 || r.AccuracyClear < 0.96 || r.Keys != 0 || r.RequestBytes == 0 || r.ColdStartMS <= 0 || r.ServerMSOneCore <= 0 {
		t.Errorf("implausible figures: %+v", r)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"--recipes", "unknown"}, {"--samples", "0"}, {"more"}, {"--data", "/does/not/exist"}} {
		if err := run(context.Background(), args, new(bytes.Buffer), os.Stderr); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}
