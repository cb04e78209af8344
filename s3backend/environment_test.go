package s3backend

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// Every variable and every key of a profile that says where the store is works, or is an error
// that names it. The order is that of AWS.
func TestEnvironment_SaysWhereTheStoreIs(t *testing.T) {
	const (
		services = "[profile p]\nregion = eu-central-1\nservices = s\nendpoint_url = https://profile.example\n[services s]\ns3 =\n  endpoint_url = https://service.example\n"
		plain    = "[profile p]\nregion = eu-central-1\nendpoint_url = https://profile.example\n"
		bare     = "[profile p]\nregion = eu-central-1\n"
		ignored  = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"
		fips     = "AWS_USE_FIPS_ENDPOINT=true"
		dual     = "AWS_USE_DUALSTACK_ENDPOINT=true"
	)
	mine := Options{Endpoint: "https://mine.example"}
	for name, c := range map[string]struct {
		file      string
		variables string
		options   Options
		want      string // host
	}{
		"region of the profile":      {bare, "", Options{}, "s3.eu-central-1.amazonaws.com"},
		"AWS_REGION":                 {bare, "AWS_REGION=eu-west-1", Options{}, "s3.eu-west-1.amazonaws.com"},
		"AWS_DEFAULT_REGION":         {"", "AWS_PROFILE= AWS_DEFAULT_REGION=eu-west-2", Options{}, "s3.eu-west-2.amazonaws.com"},
		"Options.Region":             {bare, "AWS_REGION=eu-west-1", Options{Region: "eu-west-3"}, "s3.eu-west-3.amazonaws.com"},
		"China":                      {bare, "AWS_REGION=cn-north-1", Options{}, "s3.cn-north-1.amazonaws.com.cn"},
		"endpoint_url":               {plain, "", Options{}, "profile.example"},
		"services":                   {services, "", Options{}, "service.example"},
		"services of another":        {strings.Replace(services, "s3 =", "dynamodb =", 1), "", Options{}, "profile.example"},
		"AWS_ENDPOINT_URL":           {services, "AWS_ENDPOINT_URL=https://all.example", Options{}, "all.example"},
		"AWS_ENDPOINT_URL_S3":        {services, "AWS_ENDPOINT_URL=https://all.example AWS_ENDPOINT_URL_S3=https://s3.example", Options{}, "s3.example"},
		"Options.Endpoint":           {services, "AWS_ENDPOINT_URL_S3=https://s3.example", mine, "mine.example"},
		"ignored by variable":        {services, "AWS_ENDPOINT_URL_S3=https://s3.example " + ignored, Options{}, "s3.eu-central-1.amazonaws.com"},
		"ignored by profile":         {strings.Replace(services, "services = s", "services = s\nignore_configured_endpoint_urls = true", 1), "", Options{}, "s3.eu-central-1.amazonaws.com"},
		"ignored, and one given":     {services, ignored, mine, "mine.example"},
		"AWS_USE_FIPS_ENDPOINT":      {bare, fips, Options{}, "s3-fips.eu-central-1.amazonaws.com"},
		"use_fips_endpoint":          {bare + "use_fips_endpoint = true\n", "", Options{}, "s3-fips.eu-central-1.amazonaws.com"},
		"the variable is before it":  {bare + "use_fips_endpoint = true\n", "AWS_USE_FIPS_ENDPOINT=false", Options{}, "s3.eu-central-1.amazonaws.com"},
		"AWS_USE_DUALSTACK_ENDPOINT": {bare, dual, Options{}, "s3.dualstack.eu-central-1.amazonaws.com"},
		"use_dualstack_endpoint":     {bare + "use_dualstack_endpoint = true\n", "", Options{}, "s3.dualstack.eu-central-1.amazonaws.com"},
		"both":                       {bare, dual + " " + fips, Options{}, "s3-fips.dualstack.eu-central-1.amazonaws.com"},
		"FIPS and an endpoint":       {plain, fips, Options{}, "! AWS_USE_FIPS_ENDPOINT"},
		"FIPS and one given":         {bare, fips, mine, "! AWS_USE_FIPS_ENDPOINT"},
		"dual stack and an endpoint": {services, dual, Options{}, "! AWS_USE_DUALSTACK_ENDPOINT"},
		"FIPS, endpoints ignored":    {plain, fips + " " + ignored, Options{}, "s3-fips.eu-central-1.amazonaws.com"},
		"FIPS, no truth value":       {bare, "AWS_USE_FIPS_ENDPOINT=perhaps", Options{}, "! AWS_USE_FIPS_ENDPOINT"},
		"dual stack, no truth value": {bare, "AWS_USE_DUALSTACK_ENDPOINT=perhaps", Options{}, "! AWS_USE_DUALSTACK_ENDPOINT"},
		"ignore, no truth value":     {bare, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=perhaps", Options{}, "! AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
		"a bundle that is not there": {bare, "AWS_CA_BUNDLE=/nonexistent/bundle", Options{}, "! /nonexistent/bundle"},
		"a bundle that is none":      {bare, "AWS_CA_BUNDLE=/dev/null", Options{}, "! CA bundle"},
		"no region":                  {"", "AWS_PROFILE=", Options{}, "! AWS_REGION"},
	} {
		t.Run(name, func(t *testing.T) {
			awsEnvironment(t, c.file, "")
			t.Setenv("AWS_PROFILE", "p")
			for variable := range strings.FieldsSeq(c.variables) {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			b, err := New(t.Context(), "a.b", &c.options) // a bucket that stays in the path
			if text, fails := strings.CutPrefix(c.want, "! "); fails {
				require.ErrorContains(t, err, text)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "https://"+c.want+"/a.b", b.client.base.String())
		})
	}
}

// A certificate that only the bundle has is trusted, by the variable and by the profile.
func TestEnvironment_CABundleIsTrusted(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(bundle, text, 0o600))
	const profile = "[profile p]\nregion = r\n"
	for name, c := range map[string]struct{ file, variable string }{
		"AWS_CA_BUNDLE": {profile, bundle}, "ca_bundle": {profile + "ca_bundle = " + bundle + "\n", ""}, "none": {profile, ""},
	} {
		t.Run(name, func(t *testing.T) {
			awsEnvironment(t, c.file, "")
			t.Setenv("AWS_PROFILE", "p")
			t.Setenv("AWS_ACCESS_KEY_ID", "id")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
			t.Setenv("AWS_CA_BUNDLE", c.variable)
			b, err := New(t.Context(), "bucket", &Options{Endpoint: server.URL, Retry: sluice.Retry{Attempts: 1}})
			require.NoError(t, err)
			if err = b.Look(t.Context()); name == "none" {
				require.ErrorContains(t, err, "certificate")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestLook_FailsOnlyOnWhatIsKnownToBeWrong(t *testing.T) {
	awsEnvironment(t, "", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	for _, c := range []struct {
		status int
		region string
		says   string
	}{
		{200, "", ""},
		{403, "", ""},
		{405, "", ""},
		{404, "", `there is no bucket "bucket"`},
		{301, "eu-west-1", "the bucket is in region eu-west-1: set Options.Region"},
		{307, "", "set Options.Endpoint"},
		{400, "eu-west-1", "the bucket is in region eu-west-1: set Options.Region"},
		{503, "", "503"},
	} {
		var asked atomic.Int32
		store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			if c.region != "" {
				w.Header().Set("X-Amz-Bucket-Region", c.region)
			}
			w.WriteHeader(c.status)
		}))
		b, err := New(t.Context(), "bucket", &Options{Endpoint: store.URL, Region: "r", Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
		require.NoError(t, err)
		if err = b.Look(t.Context()); c.says == "" {
			require.NoError(t, err, c.status)
		} else {
			require.ErrorContains(t, err, c.says)
		}
		store.Close()
		if c.status != 503 {
			require.EqualValues(t, 1, asked.Load(), "%d is no passing failure", c.status)
		}
	}
}
