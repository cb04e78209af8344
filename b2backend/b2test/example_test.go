package b2test_test

import (
	"fmt"
	"net/http"

	"github.com/c1508ce4/sluice/b2backend/b2test"
)

// A client is given the address and the key, and meets a scripted fault.
func Example() {
	server := b2test.NewServer(nil)
	defer server.Close()
	if err := server.Inject(b2test.Fault{Call: "b2_authorize_account", Status: 503, RetryAfter: "1"}); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		req, err := http.NewRequest(http.MethodGet, server.URL()+"/b2api/v4/b2_authorize_account", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.SetBasicAuth(server.KeyID(), server.Key())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	fmt.Println("faults met:", server.Fired(), "complaints:", server.Check())
	// Output:
	// 503 "1"
	// 200 ""
	// faults met: [1] complaints: <nil>
}
