#include "front_peer.h"
int main(void){return 0;}
