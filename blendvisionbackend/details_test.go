package blendvisionbackend

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func refusedWith(body string, secrets ...string) *Error {
	resp := &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	return refusal(callOpen, resp, secrets).(*Error)
}

func TestDetails_ReachTheCaller(t *testing.T) {
	const bad = "type.googleapis.com/google.rpc.BadRequest"
	for _, key := range []string{"field_violations", "fieldViolations"} {
		e := refusedWith(`{"code":3,"message":"invalid","details":[
			{"@type":"`+bad+`","`+key+`":[{"field":"file.size","description":"is SECRET-VALUE"}]},
			{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TOO_LARGE","domain":"bv","metadata":{"a":"b"}},
			{"@type":"other","unknown":[1,{}]}]}`, "SECRET-VALUE")
		require.Len(t, e.Details, 3)
		require.Equal(t, bad, e.Details[0].Type)
		require.Equal(t, "file.size", e.Details[0].Violations[0].Field)
		require.Equal(t, "TOO_LARGE", e.Details[1].Reason)
		require.Equal(t, "bv", e.Details[1].Domain)
		require.ErrorContains(t, e, "400 INVALID_ARGUMENT: invalid; file.size: is ")
		require.ErrorContains(t, e, "; reason TOO_LARGE")
		require.NotContains(t, e.Error(), "SECRET-VALUE")
	}
}

func TestDetails_OfAnotherFormHideNothingElse(t *testing.T) {
	for _, details := range []string{`7`, `[7]`, `[{"reason":{}}]`, `{}`} {
		e := refusedWith(`{"code":5,"message":"gone","details":` + details + `}`)
		require.Equal(t, "NOT_FOUND", e.Code)
		require.Equal(t, "gone", e.Message)
		require.Empty(t, e.Details)
	}
}
