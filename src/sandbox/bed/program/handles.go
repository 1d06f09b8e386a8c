// What goes on until it is closed: servers, probers, loads.
package main

import (
	"fmt"
	"sync"
)

type handle interface {
	// peek tells how things stand.
	peek() any
	// close ends it and tells the whole result.
	close() any
}

type handleArgs struct {
	Handle int `json:"handle"`
}

var (
	handlesLock sync.Mutex
	handles     = map[int]handle{}
	lastHandle  int
)

type opened struct {
	Handle int `json:"handle"`
}

func open(what handle) opened {
	handlesLock.Lock()
	defer handlesLock.Unlock()
	lastHandle++
	handles[lastHandle] = what
	return opened{lastHandle}
}

func find(number int) (handle, error) {
	handlesLock.Lock()
	defer handlesLock.Unlock()
	what, known := handles[number]
	if !known {
		return nil, fmt.Errorf("handle %d is not open", number)
	}
	return what, nil
}

func onHandle(args handleArgs, ask func(handle) any) (any, error) {
	what, err := find(args.Handle)
	if err != nil {
		return nil, err
	}
	return ask(what), nil
}

func closeHandle(args handleArgs) (any, error) {
	what, err := find(args.Handle)
	if err != nil {
		return nil, err
	}
	handlesLock.Lock()
	delete(handles, args.Handle)
	handlesLock.Unlock()
	return what.close(), nil
}
