"""Execution: layers, loss and optimizer become a program, and threads run it.

fusion               which compiled layer computes which group of layers
contexts             what a layer asks for: memory, packed weights, and to make its calls, now or in a program
calls, program       phases, tasks, calls; printing
training_program, inference_program      a training step, and the prediction of many images, as programs
divided_program      the prediction of one image, divided between the threads
native, scheduler    calls as data that compiled code executes, and threads that share the tasks
packing, guards      whether the weights have changed since they were packed; whether a program is still valid
engine               the engine that a model holds
"""
