/* Objects: their kinds, their counts, and answers to queries. */
#include "device_object.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void device_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void device_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

void device_object_start(device_object *object, device_kind kind)
{
    object->dispatch = &device_dispatch;
    object->kind = kind;
    object->references = 1;
}

int device_is(const void *object, device_kind kind)
{
    return object != NULL && ((const device_object *)object)->kind == kind;
}

cl_uint device_references(const void *object)
{
    device_lock();
    const cl_uint count = ((const device_object *)object)->references;
    device_unlock();
    return count;
}

void device_retain(void *object)
{
    device_lock();
    ((device_object *)object)->references++;
    device_unlock();
}

int device_release(void *object)
{
    device_object *released = object;
    device_lock();
    const int last = --released->references == 0;
    if (last) {
        released->kind = DEVICE_NO_OBJECT;
    }
    device_unlock();
    return last;
}

cl_int device_answer(size_t room, void *value, size_t *needed, const void *answer, size_t bytes)
{
    if (value != NULL) {
        if (room < bytes) {
            return CL_INVALID_VALUE;
        }
        memcpy(value, answer, bytes);
    }
    if (needed != NULL) {
        *needed = bytes;
    }
    return CL_SUCCESS;
}

cl_int device_answer_text(size_t room, void *value, size_t *needed, const char *text)
{
    return device_answer(room, value, needed, text, strlen(text) + 1);
}

void device_set_error(cl_int *error, cl_int status)
{
    if (error != NULL) {
        *error = status;
    }
}
