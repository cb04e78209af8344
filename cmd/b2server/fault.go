package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

const faultHelp = `
A fault is key=value pairs between commas, for example
  -fault call=b2_upload_part,part=3,status=503,retry-after=2
  -fault call=b2_finish_large_file,kind=lose-answer
  -fault call=b2_upload_part,kind=slow-body,rate=1000,skip=5,count=-1
  call         the call it is for, b2_upload_part for example; without it, every call
  part         the part number it is for
  skip         how many such requests pass first
  count        how many it meets, 1 without it, -1 for all
  kind         refuse (without it), refuse-early, drop, drop-early, drop-mid-body, lose-answer, stall, stall-early, slow-body,
               wait, truncate, garbage, wrong-sha1, wrong-length, expire-token, vault-full
  status, code, message, retry-after
               what is answered; 502 and 504 without a code are HTML
  rate         bytes per second of slow-body
  delay        how long the request waits before it is worked on, 2s for example

`

// parseFault reads a fault from the text of a flag.
func parseFault(text string) (b2test.Fault, error) {
	var f b2test.Fault
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return f, fmt.Errorf("%q is not key=value", pair)
		}
		var err error
		switch key {
		case "call":
			f.Call = value
		case "part":
			f.Part, err = strconv.Atoi(value)
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "kind":
			f.Kind = b2test.FaultKind(value)
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "code":
			f.Code = value
		case "message":
			f.Message = value
		case "retry-after":
			f.RetryAfter = value
		case "rate":
			f.Rate, err = strconv.ParseInt(value, 10, 64)
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		default:
			return f, fmt.Errorf("no key %q", key)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", key, err)
		}
	}
	return f, nil
}
